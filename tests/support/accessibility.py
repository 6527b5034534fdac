"""What who listens to a page, or goes through it by keyboard, is given, in Chromium."""

from typing import Any

# Text whose contrast with what is behind it is below 4.5 (WCAG 2.2, AA).
TOO_FAINT = """
const share = value => value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
const light = colour => {
  const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(share);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = each => {
  for (let element = each; element; element = element.parentElement) {
    const colour = getComputedStyle(element).backgroundColor;
    if (!colour.endsWith(", 0)")) return colour;
  }
  return "rgb(255, 255, 255)";
};
return [...document.querySelectorAll(":is(p, h1, h2, th, td, li, summary, legend, label, button, output, small, span)")]
  .filter(each => each.offsetParent && each.textContent.trim() && !each.disabled && !each.closest("#stage"))
  .filter(each => {
    const [a, b] = [light(getComputedStyle(each).color), light(behind(each))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05) < 4.5;
  }).map(each => each.outerHTML.slice(0, 100));
"""
# Whether what has the focus is outlined, itself or by its label.
OUTLINED = """
const focused = document.activeElement, label = focused.labels?.[0];
const lines = [focused, ...(label ? [label] : [])].map(each => getComputedStyle(each))
  .filter(style => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2);
return [focused.id || focused.outerHTML.slice(0, 80), lines.length > 0];
"""
CONTROLS = {
    "button", "checkbox", "radio", "slider", "link", "textbox", "searchbox", "combobox", "menuitem", "tab", "switch",
    "spinbutton", "DisclosureTriangle", "progressbar", "ProgressIndicator", "radiogroup",
}  # fmt: skip


def controls(chrome: Any) -> list[tuple[str, str]]:
    """(role, name) of every control in Chromium's accessibility tree."""
    nodes = chrome.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    found = [
        (node["role"]["value"], node.get("name", {}).get("value", "").strip()) for node in nodes if not node["ignored"]
    ]
    return [(role, name) for role, name in found if role in CONTROLS]


def tab_stops(chrome: Any) -> list[tuple[str, bool]]:
    """What the Tab key leads to, from the page's beginning: (which element, whether it is seen to have the focus)."""
    from selenium.webdriver import ActionChains, Keys

    chrome.execute_script("document.activeElement.blur(); window.scrollTo(0, 0); getSelection().removeAllRanges()")
    found = []
    for _ in range(60):
        ActionChains(chrome).send_keys(Keys.TAB).perform()
        if chrome.execute_script("return document.activeElement === document.body"):
            break
        found.append(tuple(chrome.execute_script(OUTLINED)))
        if found.count(found[0]) > 1:  # round again
            return found[:-1]
    return found

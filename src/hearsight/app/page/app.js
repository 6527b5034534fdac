// The page: choosing a video, progress, the player, and changes that can be undone.

import * as server from "./server.js";
import { Sound } from "./sound.js";
import { COLOURS, RING, clock, directionOf, drawLevels, drawOutlines, drawSide, drawTop, inWords, placeAt } from "./stage.js";

const $ = id => document.getElementById(id);
const body = document.body;
const REST = "rest";
const STEP = 0.02;                       // of the picture, of an arrow key
let token = null, stopping = null;       // the clip; what stops the job that runs
let clip = null, sound = null;           // what the server said of the clip; its sound
let scene = null, past = [], future = [];// what is heard: changed only by `change`
let ears = new Map();                    // "split part" -> {file, key} rendered last
let rendering = false, again = false, adding = false, moving = null;
window.hearsight = { get sound() { return sound; }, get scene() { return scene; }, get clip() { return clip; },
  get settled() { return !rendering && !again; } };

// ---- choosing and progress

function show(state) { body.dataset.state = state; window.scrollTo(0, 0); }
function problem(words) { $("problem").textContent = words; $("problem").hidden = !words; }
function say(words) { $("status").textContent = words; announce(words); }

server.limits().then(limits => {
  const minutes = limits.longest_s / 60;
  $("limits").textContent = `Up to ${Math.round(limits.largest_mb)} MB and ` +
    (minutes >= 1 ? `${Math.round(minutes * 10) / 10} minutes.` : `${Math.round(limits.longest_s)} seconds.`);
  const kept = Math.round(limits.kept_s / 60);
  $("kept").textContent = kept === 60 ? "an hour" : `${kept} minutes`;
}).catch(error => problem(error.message));

const drop = $("drop");
for (const name of ["dragenter", "dragover"]) document.addEventListener(name, event => {
  event.preventDefault(); drop.classList.add("over");
});
for (const name of ["dragleave", "drop"]) document.addEventListener(name, event => {
  event.preventDefault(); drop.classList.remove("over");
});
document.addEventListener("drop", event => {
  const file = event.dataTransfer?.files[0];
  if (file && body.dataset.state === "start") begin(progress => server.upload(file, progress, stopping.signal), file.name);
});
$("file").addEventListener("change", () => {
  const file = $("file").files[0];
  if (file) begin(progress => server.upload(file, progress, stopping.signal), file.name);
  $("file").value = "";
});
$("sample").addEventListener("click", () => begin(() => server.sample()));
$("stop").addEventListener("click", () => stopping?.abort());
$("new").addEventListener("click", () => { leave(); show("start"); });
window.addEventListener("pagehide", event => { if (token && !event.persisted) server.forget(token); });

function leave() {
  if (token) server.forget(token);
  sound?.close();
  token = clip = sound = scene = null; past = []; future = []; ears = new Map(); adding = false;
  $("video").removeAttribute("src"); $("video").load();
}

async function begin(bring, name) {
  const isSample = !name;
  problem(""); stopping = new AbortController(); announced = "";
  $("name").textContent = isSample ? "The sample, a ball whose bounces are notes" : name;
  show("work"); report({ progress: 0, doing: isSample ? "Preparing" : "Uploading" }); $("stop").focus();
  try {
    ({ token } = await bring(share => report({ progress: share, doing: "Uploading" })));
    report({ progress: 0, doing: "Beginning" });
    stopping.signal.throwIfAborted();
    await open(await server.run(token, { job: "open", sample: isSample }, report, stopping.signal));
  } catch (error) {
    leave(); show("start"); $(isSample ? "sample" : "file").focus();
    problem(stopping.signal.aborted ? "" : error.message); announce(stopping.signal.aborted ? "Stopped" : "");
  }
}

function report(news) {
  if ("waiting" in news) $("progress").removeAttribute("value"); else $("progress").value = news.progress;
  $("doing").textContent = inShort(news);
  announceStage(news);
}
// Screen readers say each stage and each quarter, not each percent.
function announceStage(news) {
  const stage = "waiting" in news ? `waiting ${news.waiting}` : `${news.doing} ${Math.floor(4 * news.progress)}`;
  if (stage !== announced) { announced = stage; announce(inShort(news)); }
}
let announced = "";
function announce(words) { $("announced").textContent = words; }
function follow(news) { $("status").textContent = inShort(news); announceStage(news); }
function inShort(news) {
  if (!("waiting" in news)) return `${news.doing}, ${Math.round(100 * news.progress)} %` + left(news.left_s);
  const turn = news.waiting === 1 ? "Waiting for others: you are next" : `Waiting for others: ${news.waiting - 1} before you`;
  return news.left_s > 0 ? turn + left(news.left_s).replace(" left", "") : turn;
}
function left(seconds) {
  if (!(seconds > 0)) return "";
  return seconds < 60 ? `, about ${Math.ceil(seconds)} s left` : `, about ${Math.ceil(seconds / 60)} min left`;
}

// ---- the result

async function open(made) {
  clip = made;
  sound = new Sound(clip.sample_rate_hz);
  sound.onend = () => { $("video").pause(); shown(); };
  const file = name => server.fileOf(token, name);
  $("stage").classList.toggle("no-picture", !clip.preview);
  if (clip.preview) $("video").src = file(clip.preview);
  $("stage").style.aspectRatio = clip.preview ? `${clip.width} / ${clip.height}` : "";
  scene = { split: clip.split, fov: clip.fov_deg, strength: 1, sources: sourcesOf(clip), away: [] };
  for (const part of clip.parts)
    ears.set(`${clip.split} ${part.part}`, { ...part, recipe: recipe(scene, scene.sources[part.part] ?? null) });
  $("notes").replaceChildren(...clip.notes.map(words => Object.assign(document.createElement("li"), { textContent: words })));
  $("seek").max = clip.duration_s;
  await sound.load(file(clip.original), file(clip.decoder), clip.duration_s);
  await refresh();
  sound.choose("binaural");
  if (!scene.sources.length) say("Nothing was found that goes with the sound. Add a source where it is.");
  show("result"); $("play").focus(); announce("Ready"); listen();
}

function sourcesOf(made, before = []) {
  return made.sources.map((source, part) => {
    const old = before[part];
    return { part, label: source.label, track: source.track, share: source.energy_share,
      size: source.size.length ? source.size : old?.size ?? [],   // to divide the sound anew sees nobody anew
      gain_db: old?.gain_db ?? 0, muted: old?.muted ?? false, colour: old?.colour ?? COLOURS[part % COLOURS.length] };
  });
}

// What a part is rendered from: if that has changed since, its ears are stale.
const recipe = (state, source) => JSON.stringify(source
  ? [source.track, state.fov, state.strength] : null);

function partsOf(state) {
  const rest = { part: clip.splits[state.split], alone: REST };
  return [...state.sources.map(source => ({ ...source, alone: source.part })), rest,
    ...state.away.map(part => ({ part, alone: REST }))];
}

async function refresh() {
  const state = scene, file = name => server.fileOf(token, name);
  const parts = await Promise.all(partsOf(state).map(async source => {
    const known = ears.get(`${state.split} ${source.part}`);
    const placed = source.track ? source : null;
    return {
      number: source.part, alone: source.alone,
      buffer: known ? await sound.fetch(file(known.file)) : null,
      direction: time => placed ? directionOf(placeAt(current(placed.part).track, time), scene.fov, scene.strength) : [0, 0],
      volume: source.muted ? 0 : 10 ** ((source.gain_db ?? 0) / 20),
      stale: !known || known.recipe !== recipe(state, placed),
    };
  }));
  if (state !== scene) return refresh();
  sound.set(parts, 10 ** (clip.level_db / 20));
  list();
}
const current = part => scene.sources.find(source => source.part === part) ?? { track: [[0, 0.5, 0.5]] };

// Every change makes a new scene; the old one can be had again.
function change(next, { isSmall = false } = {}) {
  if (!isSmall) { past.push(scene); future = []; }
  scene = next;
  $("undo").disabled = !past.length; $("redo").disabled = !future.length;
  update();
}
function update() {
  refresh().catch(error => say(error.message));
  render();
}
function undo(from, to) {
  if (!from.length) return;
  to.push(scene); scene = from.pop();
  $("undo").disabled = !past.length; $("redo").disabled = !future.length;
  update();
}
$("undo").addEventListener("click", () => undo(past, future));
$("redo").addEventListener("click", () => undo(future, past));

const asked = (state, job, more = {}) => ({ job, split: state.split, fov_deg: state.fov, strength: state.strength,
  sources: state.sources.map(({ part, label, track, gain_db, muted }) => ({ part, label, track, gain_db, muted })),
  away: state.away, ...more });

// Render anew what has changed; one job at a time, the newest scene last.
async function render() {
  if (rendering) { again = true; return; }
  const stale = () => partsOf(scene).some(source =>
    ears.get(`${scene.split} ${source.part}`)?.recipe !== recipe(scene, source.track ? source : null));
  if (!stale() || moving) return;
  rendering = true; again = false;
  const state = scene, began = performance.now();
  try {
    say("Rendering what changed …");
    const made = await server.run(token, asked(state, "render"), follow);
    for (const part of made.parts) {
      const source = partsOf(state).find(each => each.part === part.part);
      ears.set(`${state.split} ${part.part}`, { ...part, recipe: recipe(state, source?.track ? source : null) });
    }
    say(`Rendered in ${((performance.now() - began) / 1000).toFixed(1)} s.`);
    await refresh();
  } catch (error) { if (error.message) say(error.message); again = false; }
  rendering = false;
  if (again) render();
}

// Divide the sound anew among the sources where they are in a scene, which may have one more than the present one.
async function split(state = scene) {
  if (rendering) return say("Wait until what changed is rendered.");
  rendering = true;
  try {
    const made = await server.run(token, asked(state, "split"), follow);
    Object.assign(clip.splits, made.splits);
    const sources = sourcesOf(made, state.sources).map((source, index) => ({ ...source, label: state.sources[index].label }));
    const next = { ...state, split: made.split, sources, away: [] };
    for (const part of made.parts) {
      const source = sources.find(each => each.part === part.part);
      ears.set(`${made.split} ${part.part}`, { ...part, recipe: recipe(next, source ?? null) });
    }
    say("The sound was divided again.");
    rendering = false;
    change(next);
  } catch (error) { say(error.message); }
  rendering = false;
}
$("split").addEventListener("click", () => split());

// ---- the player

function listen() {
  requestAnimationFrame(function draw() {
    if (!sound) return;
    shown(); requestAnimationFrame(draw);
  });
}
function shown() {
  const now = sound.heard(), video = $("video");
  if (clip.preview && video.readyState > 0) {
    const late = video.currentTime - now;
    if (!sound.playing) { if (!video.paused) video.pause(); if (Math.abs(late) > 0.05 && !video.seeking) video.currentTime = now; }
    else {
      if (video.paused && now < video.duration - 0.1) video.play().catch(() => {});
      if (Math.abs(late) > 0.15 && !video.seeking) video.currentTime = Math.min(now, video.duration - 0.05);
      video.playbackRate = Math.abs(late) > 0.02 ? 1 - Math.max(-0.1, Math.min(0.1, late)) : 1;
    }
  }
  $("play").textContent = sound.playing ? "❚❚" : "▶";
  $("play").setAttribute("aria-label", sound.playing ? "Pause" : "Play");
  if (document.activeElement !== $("seek") || !seeking) $("seek").value = now;
  $("time").textContent = `${clock(now)} / ${clock(clip.duration_s)}`;
  const sources = scene.sources.map(source => ({ ...source,
    sign: sign(source), faint: source.muted || !["binaural", "original", source.part].includes(sound.chosen) }));
  drawLevels(bars, sound.playing ? sound.levels() : [-100, -100]);
  const seen = [now, sound.yaw, sound.pitch, sound.chosen, $("stage").clientWidth, getComputedStyle(body).color].join();
  if (drawn.scene === scene && drawn.seen === seen) return;
  drawn = { scene, seen };
  drawOutlines($("outlines"), sources, now);
  drawTop($("top"), sources, now, sound.yaw, scene.fov, scene.strength);
  drawSide($("side"), sources, now, sound.yaw, sound.pitch, scene.fov, scene.strength);
  for (const marker of $("markers").children) {
    const [x, y] = placeAt(current(Number(marker.dataset.part)).track, now);
    marker.style.left = `${Math.min(97, Math.max(3, 100 * x))}%`; marker.style.top = `${Math.min(95, Math.max(5, 100 * y))}%`;
  }
  for (const row of $("sources").tBodies[0].rows) {
    const source = current(Number(row.dataset.part)), cell = row.querySelector("small");
    const words = inWords(directionOf(placeAt(source.track, now), scene.fov, scene.strength)[0]);
    if (cell.textContent !== words) cell.textContent = words;
  }
}
let drawn = {};
const bars = [...document.querySelectorAll("#levels b")];
const called = source => /^source \d+$/.test(source.label) ? `source ${sign(source)}` : `${sign(source)} ${source.label}`;
const sign = source => String(scene.sources.indexOf(scene.sources.find(each => each.part === source.part)) + 1);

let seeking = false;
$("play").addEventListener("click", () => toggle());
async function toggle() { if (sound.playing) sound.pause(); else await sound.play(); }
$("seek").addEventListener("input", () => { seeking = true; sound.moveTo(Number($("seek").value)); seeking = false; });

function list() {
  const choices = [["original", "Original"], ["binaural", "Binaural"],
    ...scene.sources.map(source => [source.part, called(source), source.colour]), [REST, "The rest"]];
  const known = JSON.stringify(choices) + JSON.stringify(scene.away);
  if ($("choices").dataset.known !== known) {
    $("choices").dataset.known = known; drawn = {};
    $("choices").replaceChildren(...choices.map(([value, words, colour]) => {
      const label = document.createElement("label"), radio = document.createElement("input");
      radio.type = "radio"; radio.name = "choice"; radio.value = value;
      radio.addEventListener("change", () => sound.choose(value));
      label.append(radio, words);
      if (colour) label.style.setProperty("--colour", colour);
      return label;
    }));
    const focused = document.activeElement?.closest?.("[data-part]")?.dataset.part, inMarkers = document.activeElement?.closest?.("#markers");
    $("markers").replaceChildren(...scene.sources.map(marker));
    $("sources").tBodies[0].replaceChildren(...scene.sources.map(row));
    if (focused !== undefined && inMarkers) $("markers").querySelector(`[data-part="${focused}"]`)?.focus();
  }
  if (!choices.some(([value]) => value === sound.chosen)) sound.choose("binaural");
  for (const radio of $("choices").querySelectorAll("input")) radio.checked = radio.value === String(sound.chosen);
  for (const line of $("sources").tBodies[0].rows) {
    const source = current(Number(line.dataset.part));
    line.querySelector("input[type=checkbox]").checked = source.muted;
    const gain = line.querySelector("input[type=range]");
    if (document.activeElement !== gain) gain.value = source.gain_db;
    line.querySelector("output").textContent = `${source.gain_db > 0 ? "+" : ""}${source.gain_db} dB`;
  }
  $("fov").value = scene.fov; $("fov-shown").textContent = `${Math.round(scene.fov)}°`;
  $("strength").value = scene.strength; $("strength-shown").textContent = `${Math.round(100 * scene.strength)} %`;
}

const edited = (part, changes) => ({ ...scene, sources: scene.sources.map(source =>
  source.part === part ? { ...source, ...changes } : source) });

function row(source) {
  const line = $("sources").tBodies[0].insertRow(), name = called(source);
  line.dataset.part = source.part;
  const cell = (className = "") => Object.assign(line.insertCell(), { className });
  const first = cell("name");
  first.textContent = name; first.style.setProperty("--colour", source.colour);
  cell().append(document.createElement("small"));
  const gain = Object.assign(document.createElement("input"), { type: "range", min: -24, max: 12, step: 1, value: source.gain_db });
  gain.setAttribute("aria-label", `Gain of ${name} in decibels`);
  let held = null;
  gain.addEventListener("input", () => { held ??= scene; change(edited(source.part, { gain_db: Number(gain.value) }), { isSmall: true }); });
  gain.addEventListener("change", () => { if (held) { past.push(held); future = []; held = null; $("undo").disabled = false; } });
  cell().append(gain, document.createElement("output"));
  const mute = Object.assign(document.createElement("input"), { type: "checkbox", checked: source.muted });
  mute.setAttribute("aria-label", `Mute ${name}`);
  mute.addEventListener("change", () => change(edited(source.part, { muted: mute.checked })));
  cell().append(mute);
  const remove = Object.assign(document.createElement("button"), { type: "button", textContent: "✕", title: "Remove" });
  remove.setAttribute("aria-label", `Remove ${name}; its sound goes to the middle`);
  remove.addEventListener("click", () => removeSource(source.part));
  cell().append(remove);
  line.remove();
  return line;
}
function removeSource(part) {
  change({ ...scene, sources: scene.sources.filter(source => source.part !== part), away: [...scene.away, part] });
  say("Its sound stays in the middle. “Divide the sound again” shares it among the others.");
}

// ---- moving and adding sources

const shifted = (track, dx, dy) => track.map(([time, x, y]) =>
  [time, Math.min(1, Math.max(0, x + dx)), Math.min(1, Math.max(0, y + dy))]);

function marker(source) {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: sign(source), title: source.label });
  button.dataset.part = source.part;
  button.style.setProperty("--colour", source.colour);
  button.setAttribute("aria-label", `${called(source)}: arrow keys move it, Delete removes it`);
  button.addEventListener("pointerdown", event => {
    if (adding || event.button) return;
    event.preventDefault(); button.focus(); button.setPointerCapture(event.pointerId);
    moving = { before: scene, track: current(source.part).track, x: event.clientX, y: event.clientY };
  });
  button.addEventListener("pointermove", event => {
    if (!moving) return;
    const box = $("stage").getBoundingClientRect();
    const [dx, dy] = [(event.clientX - moving.x) / box.width, (event.clientY - moving.y) / box.height];
    change(edited(source.part, { track: shifted(moving.track, dx, dy) }), { isSmall: true });
  });
  const dropped = () => {
    if (!moving) return;
    const before = moving.before;
    moving = null;
    if (before !== scene) { past.push(before); future = []; $("undo").disabled = false; $("redo").disabled = true; }
    update();
  };
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) button.addEventListener(name, dropped);
  button.addEventListener("keydown", event => {
    const step = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (step) {
      event.preventDefault();
      change(edited(source.part, { track: shifted(current(source.part).track, ...step) }));
      say(`${source.label}: ${inWords(...directionOf(placeAt(current(source.part).track, sound.now()), scene.fov, scene.strength))}`);
    } else if (event.key === "Delete" || event.key === "Backspace") { event.preventDefault(); removeSource(source.part); }
  });
  return button;
}

function setAdding(is) {
  adding = is;
  $("hint").hidden = !is; $("stage").classList.toggle("adding", is); $("add").setAttribute("aria-pressed", is);
}
$("add").addEventListener("click", event => {
  if (adding) return setAdding(false);
  if (event.detail === 0) return addSource(0.5, 0.5);     // by keyboard: to the middle, from where arrow keys move it
  setAdding(true);
});
$("stage").addEventListener("click", event => {
  if (!adding) return;
  const box = $("stage").getBoundingClientRect();
  addSource((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
});
$("stage").addEventListener("dblclick", event => {
  if (event.target.closest("#markers button")) return;
  const box = $("stage").getBoundingClientRect();
  addSource((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
});
async function addSource(x, y) {
  setAdding(false);
  const number = scene.sources.length;
  await split({ ...scene, sources: [...scene.sources, { part: null, label: "added", track: [[0, x, y]], size: [],
    gain_db: 0, muted: false, colour: COLOURS[number % COLOURS.length] }] });
}

// ---- the head, headphones, settings, downloads, keys

const head = $("head"), nod = $("nod"), degrees = radians => Math.round(radians * 180 / Math.PI);
function turnTo(yaw, pitch) {
  yaw = Math.atan2(Math.sin(yaw), Math.cos(yaw)); pitch = Math.max(-Math.PI / 2, Math.min(Math.PI / 2, pitch));
  sound.turn(yaw, pitch);
  head.setAttribute("aria-valuenow", -degrees(yaw)); head.setAttribute("aria-valuetext", inWords(yaw));
  nod.setAttribute("aria-valuenow", degrees(pitch));
  nod.setAttribute("aria-valuetext", degrees(pitch) ? inWords(0, pitch).replace("ahead, ", "") : "level");
  $("turned").textContent = degrees(yaw) || degrees(pitch) ? `Turned ${inWords(yaw, pitch).replace("ahead, ", "")}` : "";
}
// The view from above is turned like a dial, that from the side is pulled up and down.
function turnedBy(view, begin) {
  view.addEventListener("pointerdown", event => {
    view.setPointerCapture(event.pointerId);
    const move = begin(event, view.getBoundingClientRect());
    view.addEventListener("pointermove", move);
    const end = () => view.removeEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"]) view.addEventListener(name, end, { once: true });
  });
  view.addEventListener("keydown", event => {
    const [yaw, pitch] = { ArrowLeft: [5, 0], ArrowRight: [-5, 0], ArrowUp: [0, 5], ArrowDown: [0, -5],
      PageUp: view === nod ? [0, 30] : [30, 0], PageDown: view === nod ? [0, -30] : [-30, 0] }[event.key] ?? [0, 0];
    if (yaw || pitch) { event.preventDefault(); turnTo(sound.yaw + yaw * Math.PI / 180, sound.pitch + pitch * Math.PI / 180); }
    if (event.key === "Home") { event.preventDefault(); turnTo(0, 0); }
  });
}
turnedBy(head, (event, box) => {
  const pointed = each => Math.atan2(box.left + box.width / 2 - each.clientX, box.top + box.height / 2 - each.clientY);
  const from = pointed(event) - sound.yaw;
  return each => turnTo(pointed(each) - from, sound.pitch);
});
turnedBy(nod, (event, box) => {
  const from = sound.pitch;
  return each => turnTo(sound.yaw, from + (event.clientY - each.clientY) / (RING * box.height));
});
$("ahead").addEventListener("click", () => turnTo(0, 0));
$("left").addEventListener("click", () => { sound.pause(); sound.check(0); say("This is your left ear."); });
$("right").addEventListener("click", () => { sound.pause(); sound.check(1); say("This is your right ear."); });

for (const [name, key] of [["strength", "strength"], ["fov", "fov"]]) {
  let held = null;
  $(name).addEventListener("input", () => { held ??= scene; moving = { before: held };
    change({ ...scene, [key]: Number($(name).value) }, { isSmall: true }); });
  $(name).addEventListener("change", () => { moving = null;
    if (held) { past.push(held); future = []; held = null; $("undo").disabled = false; } update(); });
}

for (const button of $("downloads").querySelectorAll("button")) button.addEventListener("click", async () => {
  button.disabled = true;
  try {
    say("Preparing the download …");
    const made = await server.run(token, asked(scene, "export", { what: button.dataset.export }), follow);
    const link = Object.assign(document.createElement("a"), { href: `${server.fileOf(token, made.file)}?download=true`, download: "" });
    document.body.append(link); link.click(); link.remove();
    say(`Ready: ${made.file}`);
  } catch (error) { say(error.message); }
  button.disabled = false;
});

document.addEventListener("keydown", event => {
  if (body.dataset.state !== "result") return;
  const inField = event.target.closest("input, button, [role=slider], summary");
  if (event.key === " " && (!inField || event.target.type === "radio" || event.target.type === "range")) { event.preventDefault(); toggle(); }
  if (event.key === "Escape" && adding) setAdding(false);
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
    event.preventDefault(); event.shiftKey ? undo(future, past) : undo(past, future);
  }
  if (/^[0-9]$/.test(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const radio = $("choices").querySelectorAll("input")[Number(event.key)];
    if (radio) { radio.checked = true; radio.dispatchEvent(new Event("change")); }
  }
});

"use strict";
// A listening study: window.STUDY says what is asked, window.COLLECT where answers go. Loads nothing from elsewhere.

const study = window.STUDY;
const FADE_S = 0.01;                       // time constant is a third of it
const main = document.getElementById("main");

// ---- Small helpers ---------------------------------------------------------------------------------------------

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter(child => child !== null));
  return element;
}

function draw(tag, attributes, ...children) {                             // the same for SVG
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// mulberry32, and Fisher and Yates's shuffle: hearsight.studies.order gives the same order from the same seed.
function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6D2B79F5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function shuffled(entries, number) {
  const result = [...entries];
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(number() * (last + 1));
    [result[last], result[other]] = [result[other], result[last]];
  }
  return result;
}

function plan(seed) {
  const number = randomNumbers((study.seed ^ seed) >>> 0), pages = [];
  for (const part of study.parts) {
    if (part.practice) pages.push({ part, page: part.practice, practice: true, order: shuffled(part.practice.sounds, number) });
    const free = shuffled(part.pages.filter(page => !page.always), number).slice(0, part.per_listener);
    for (const page of shuffled([...free, ...part.pages.filter(page => page.always)], number))
      pages.push({ part, page, practice: false, order: shuffled(page.sounds, number) });
  }
  return pages;
}

// ---- What outlives a reload ------------------------------------------------------------------------------------

const KEY = "hearsight-study-" + study.id;
let stored = true;                                                        // whether this browser keeps anything

function freshState() {
  const numbers = crypto.getRandomValues(new Uint32Array(3));
  const asked = new URLSearchParams(location.search).get("seed");
  const hex = [numbers[0], numbers[1]].map(n => n.toString(16).padStart(8, "0")).join("");
  const seed = asked !== null && /^\d{1,9}$/.test(asked) ? Number(asked) : numbers[2];
  return { session: hex, seed, stage: "consent", place: 0, used_s: 0, records: [], sent: 0 };
}

function load() {
  try {
    const text = localStorage.getItem(KEY);
    return text ? JSON.parse(text) : freshState();
  } catch { stored = false; return freshState(); }
}

let state = load(), pages = plan(state.seed);
let visit = performance.now();                                            // since when this visit is counted

function save() {
  const now = performance.now();
  state.used_s += (now - visit) / 1000;
  visit = now;
  try { localStorage.setItem(KEY, JSON.stringify(state)); } catch { stored = false; }
}

function record(event, values = {}) {
  save();
  state.records.push({ study: study.id, session: state.session, seed: state.seed, number: state.records.length,
    at_s: Math.round(state.used_s * 1000) / 1000, event, ...values });
  save();
  send();
}

let sending = false, refused = null, retry_s = 1, onsent = () => {};
async function send() {
  if (!window.COLLECT || sending || refused) return;
  sending = true;
  const session = state.session;
  try {
    while (state.session === session && state.sent < state.records.length) {
      const answer = await fetch(window.COLLECT, { method: "POST", keepalive: true,
        headers: { "Content-Type": "application/json" }, body: JSON.stringify(state.records[state.sent]) });
      if (answer.status >= 400 && answer.status < 500) { refused = `${answer.status}: ${await answer.text()}`; break; }
      if (!answer.ok) throw new Error(answer.status);
      if (state.session === session) { state.sent += 1; save(); }
      retry_s = 1;
    }
  } catch {
    setTimeout(send, 1000 * retry_s);
    retry_s = Math.min(30, 2 * retry_s);
  } finally { sending = false; onsent(); }
}

// ---- Sounds: in scripts, since a page that was opened as a file may load nothing else ---------------------------

let context = null;
const files = new Map(), awaited = new Map();

window.STUDY_SOUND = (id, text) => {
  const binary = atob(text), bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  awaited.get(id)?.(bytes.buffer);
  awaited.delete(id);
};

function fileOf(id) {
  if (!files.has(id)) files.set(id, new Promise((resolve, reject) => {
    awaited.set(id, resolve);
    const script = make("script", { src: `sounds/${id}.js` });
    script.onload = () => script.remove();
    script.onerror = () => { script.remove(); files.delete(id); reject(new Error("a sound could not be loaded")); };
    document.head.append(script);
  }));
  return files.get(id);
}

function soundsOf(entry) {
  return [...new Set([...(entry.page.reference ? [entry.page.reference] : []), ...entry.order])];
}

async function startContext() {                                           // only in answer to a click or a key
  context = context || new AudioContext();
  if (context.state !== "running") await Promise.race([context.resume(), new Promise(done => setTimeout(done, 1500))]);
  if (context.state !== "running") throw new Error("the browser keeps the sound off; press the button again");
}

// All sounds of a page run at once and in step; one is heard. What is switched is gains, by exponentials that add up to 1.
// `fileFor` says which file a voice plays: a rated sound may be the reference, which has a voice of its own.
class Player {
  constructor(ids, onchange, fileFor = id => id) {
    this.ids = ids; this.onchange = onchange; this.fileFor = fileFor; this.video = null;
    this.heard = new Map(ids.map(id => [id, 0]));
    this.voices = null; this.active = null; this.buffers = null; this.since = 0;
  }
  async load() {
    if (this.buffers) return;
    const decoded = new Map();
    for (const file of new Set(this.ids.map(this.fileFor)))
      decoded.set(file, fileOf(file).then(data => context.decodeAudioData(data.slice(0))));
    const buffers = await Promise.all(this.ids.map(id => decoded.get(this.fileFor(id))));
    if (buffers.some(buffer => buffer.length !== buffers[0].length || buffer.numberOfChannels !== 2))
      throw new Error("the sounds of this page do not fit each other");
    this.buffers = new Map(this.ids.map((id, index) => [id, buffers[index]]));
    this.duration = buffers[0].duration;
  }
  get playing() { return this.voices !== null; }
  get position() { return this.playing ? Math.max(0, context.currentTime - this.began) % this.duration : 0; }
  async play(id) {
    await startContext();
    await this.load();
    this.count();
    if (!this.playing) {
      const at = context.currentTime + 0.03;
      this.voices = new Map(this.ids.map(other => {
        const source = context.createBufferSource(), gain = context.createGain();
        source.buffer = this.buffers.get(other); source.loop = true; gain.gain.value = 0;
        source.connect(gain).connect(context.destination);
        source.start(at);
        return [other, { source, gain }];
      }));
      this.began = at;
      if (this.video) { this.video.currentTime = 0; this.video.play().catch(() => {}); }
      this.timer = setInterval(() => this.tick(), 200);
    }
    this.active = id; this.since = Math.max(context.currentTime, this.began);
    for (const [other, voice] of this.voices)
      voice.gain.gain.setTargetAtTime(other === id ? 1 : 0, context.currentTime, FADE_S / 3);
    this.onchange();
  }
  stop() {
    if (!this.playing) return;
    this.count();
    clearInterval(this.timer);
    for (const { source, gain } of this.voices.values()) {
      gain.gain.setTargetAtTime(0, context.currentTime, FADE_S / 3);
      source.stop(context.currentTime + 4 * FADE_S);
    }
    this.voices = null; this.active = null;
    if (this.video) this.video.pause();
    this.onchange();
  }
  count() {
    if (!this.playing) return;
    const now = context.currentTime;
    if (now > this.since) this.heard.set(this.active, this.heard.get(this.active) + now - this.since);
    this.since = Math.max(now, this.since);
  }
  tick() {
    this.count();
    if (this.video && !this.video.error) {
      const at = this.position % (this.video.duration || this.duration);
      if (Math.abs(this.video.currentTime - at) > 0.12) this.video.currentTime = at;
      if (this.video.paused) this.video.play().catch(() => {});
    }
    this.onchange();
  }
}

let player = null;
document.addEventListener("visibilitychange", () => { if (document.hidden) player?.stop(); });

// ---- Screens ---------------------------------------------------------------------------------------------------

let keys = () => {};
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.altKey || event.metaKey || !document.getElementById("shortcuts").checked) return;
  keys(event.key.toLowerCase(), event);
});

function show(title, keyText, ...children) {
  keys = () => {};
  const heading = make("h1", { tabIndex: -1 }, title);
  main.replaceChildren(heading, ...children.filter(child => child !== null));
  const done = state.stage === "pages" ? state.place / pages.length : state.stage === "end" ? 1 : 0;
  document.getElementById("bar").value = done;
  document.getElementById("progress").hidden = state.stage !== "pages";
  document.getElementById("step").textContent = state.stage === "pages" ? `Page ${state.place + 1} of ${pages.length}` : "";
  document.getElementById("footer").hidden = !keyText;
  document.getElementById("keys").textContent = keyText || "";
  scrollTo(0, 0);
  heading.focus({ preventScroll: true });
}

function alertBox() { return make("p", { className: "alert", role: "alert" }); }

function go(stage) { state.stage = stage; save(); next(); }

function next() {
  player?.stop();
  player = null;
  const screens = { consent, welcome, volume, sides, phase, pages: page, end };
  screens[state.stage]();
}

function consent() {
  const alert = alertBox();
  const agreed = make("input", { type: "checkbox", id: "agreed", onchange: () => { alert.textContent = ""; } });
  const minutes = Math.max(2, Math.round(pages.reduce((sum, entry) => sum + 8 + 7 * soundsOf(entry).length, 120) / 60));
  show(study.title, "",
    ...study.consent.map(text => make("p", {}, text)),
    make("p", {}, `You need headphones and a quiet place. There are ${pages.length} pages, about ${minutes} minutes; ` +
      (stored ? "if you close the page, you can go on later where you were, in this browser."
        : "this browser keeps nothing, so please stay on the page to the end.")),
    make("p", {}, make("label", {}, agreed, " I have read this and agree to take part.")), alert,
    make("button", { className: "main", onclick: async () => {
      if (!agreed.checked) { alert.textContent = "Please tick the box if you agree."; agreed.focus(); return; }
      try { await startContext(); } catch (error) { alert.textContent = `No sound: ${error.message}.`; return; }
      record("start");
      go("volume");
    } }, "Begin"));
}

function welcome() {                                                      // after a reload: sound needs a click again
  const alert = alertBox();
  show("Welcome back", "", make("p", {}, "Your answers so far are kept. Put on your headphones."), alert,
    make("button", { className: "main", onclick: async () => {
      try { await startContext(); } catch (error) { alert.textContent = `No sound: ${error.message}.`; return; }
      go(state.back);
    } }, "Go on"));
}

// A button that plays one sound of the page's player, and says how far it was heard.
function soundButton(id, name, key) {
  const mark = make("span", { className: "heard", "aria-hidden": "true" });
  const button = make("button", { className: "sound", type: "button", onclick: () => press(id) }, name, mark);
  button.dataset.sound = id;
  button.dataset.key = key;
  button.setAttribute("aria-pressed", "false");
  return button;
}

async function press(id) {
  const alert = main.querySelector(".alert");
  try {
    if (player.locked?.(id)) { alert.textContent = player.locked(id); return; }
    alert.textContent = "";
    if (player.active === id) player.stop(); else await player.play(id);
  } catch (error) { alert.textContent = `This cannot be played: ${error.message}.`; }
}

function showPlaying(least) {
  for (const button of main.querySelectorAll("button.sound")) {
    const id = button.dataset.sound, on = player.active === id, enough = player.heard.get(id) >= needed(least);
    button.setAttribute("aria-pressed", String(on));
    button.classList.toggle("locked", Boolean(player.locked?.(id)));
    if (enough && !button.classList.contains("done")) {
      button.classList.add("done");
      button.querySelector(".heard").textContent = " ✓";
      button.setAttribute("aria-label", button.firstChild.textContent + ", heard");
    }
  }
}

function needed(least) { return Math.min(least, (player.duration ?? Infinity) - 0.05); }

function volume() {
  const first = pages[0], id = soundsOf(first)[0];
  player = new Player([id], () => showPlaying(1));
  const alert = alertBox();
  show("Set the volume", "",
    make("p", {}, "Put on your headphones, the side marked L on the left. Play this sound and set a volume that is " +
      "comfortable. Please do not change it afterwards."),
    make("div", { className: "sounds" }, soundButton(id, "Play", "p")), alert,
    make("button", { className: "main", onclick: () => {
      if (player.heard.get(id) < needed(1) && !player.playing) { alert.textContent = "Play the sound first."; return; }
      player.stop();
      go(study.headphone_check ? "sides" : "pages");
    } }, "Next"));
}

// Headphones: noise in one ear four times, then the quietest of three tones, of which one is in opposite phase in the two
// ears and so nearly cancels between loudspeakers (Woods et al. 2017: six trials, five right).
const SIDE_TRIALS = 4, PHASE_TRIALS = 6;

function ramped(buffer, begin, length, left, right, ramp) {
  const rate = buffer.sampleRate, from = Math.round(begin * rate), count = Math.round(length * rate), edge = ramp * rate;
  const [l, r] = [buffer.getChannelData(0), buffer.getChannelData(1)];
  for (let i = 0; i < count; i++) {
    const gain = Math.sin(Math.PI / 2 * Math.min(1, i / edge, (count - 1 - i) / edge)) ** 2;
    l[from + i] += gain * left(i / rate); r[from + i] += gain * right(i / rate);
  }
}

async function playOnce(buffer) {
  await startContext();
  const source = context.createBufferSource();
  source.buffer = buffer;
  source.connect(context.destination);
  source.start();
  await new Promise(done => { source.onended = done; });
}

function trials(title, text, count, possible, makeBuffer, names, done) {
  const right = [];
  const number = randomNumbers((state.seed + title.length + 97 * (state.tries || 0)) >>> 0);
  const ask = () => {
    const truth = Math.floor(number() * possible);
    const alert = alertBox();
    let played = false, running = false;
    const choices = make("fieldset", {}, make("legend", {}, text),
      ...names.map((name, index) => make("label", { className: "choice" },
        make("input", { type: "radio", name: "answer", value: String(index) }), ` ${name}`)));
    const play = make("button", { className: "sound", type: "button", onclick: async () => {
      if (running) return;
      running = true; play.setAttribute("aria-pressed", "true");
      try { await playOnce(makeBuffer(truth, number)); played = true; alert.textContent = ""; }
      catch (error) { alert.textContent = `This cannot be played: ${error.message}.`; }
      running = false; play.setAttribute("aria-pressed", "false");
    } }, "Play");
    const step = () => {
      const chosen = choices.querySelector("input:checked");
      if (!played) { alert.textContent = running ? "Wait for the end of the sound." : "Play the sound first."; return; }
      if (!chosen) { alert.textContent = "Choose an answer."; return; }
      right.push(Number(chosen.value) === truth);
      if (right.length < count) ask(); else done([right.filter(Boolean).length, count]);
    };
    show(`${title}, ${right.length + 1} of ${count}`, "P plays, 1 to " + names.length + " choose, Enter goes on",
      make("div", { className: "sounds" }, play), choices, alert,
      make("button", { className: "main", onclick: step }, "Next"));
    listenForKeys(key => { if (key === "p") { play.click(); return true; } return false; });
  };
  ask();
}

function sides() {
  trials("Headphones: left and right", "Where was the noise?", SIDE_TRIALS, 2, (truth, number) => {
    const buffer = context.createBuffer(2, Math.round(0.8 * context.sampleRate), context.sampleRate);
    let last = 0;
    const noise = () => { last = 0.9 * last + 0.1 * (2 * number() - 1); return 0.5 * last; };
    ramped(buffer, 0, 0.8, truth === 0 ? noise : () => 0, truth === 1 ? noise : () => 0, 0.05);
    return buffer;
  }, ["Left", "Right", "On both sides, or I cannot tell"], result => { state.sides = result; go("phase"); });
}

function phase() {
  trials("Headphones: quietest tone", "Which of the three tones was the quietest?", PHASE_TRIALS, 3, (truth, number) => {
    const buffer = context.createBuffer(2, Math.round(4 * context.sampleRate), context.sampleRate);
    const opposite = (truth + 1 + Math.floor(2 * number())) % 3;
    for (let index = 0; index < 3; index++) {
      const level = index === truth ? 0.05 : 0.1, sign = index === opposite ? -1 : 1;   // 6 dB
      const tone = time => level * Math.sin(2 * Math.PI * 200 * time);
      ramped(buffer, 1.5 * index, 1, tone, time => sign * tone(time), 0.1);
    }
    return buffer;
  }, ["The first", "The second", "The third"], result => {
    const passed = state.sides[0] === SIDE_TRIALS && result[0] >= PHASE_TRIALS - 1;
    state.tries = (state.tries || 0) + 1;
    record("headphones", { sides: state.sides, phase: result, passed, tries: state.tries });
    if (passed || state.tries > 1) go("pages"); else tryAgain();
  });
}

function tryAgain() {
  show("Are these headphones?", "",
    make("p", {}, "Some answers were not what headphones give. Please see that you wear headphones, the side marked L on " +
      "the left, without any surround effect, and try once more."),
    make("button", { className: "main", onclick: () => go("sides") }, "Try again"));
}

function listenForKeys(own) {
  keys = (key, event) => {
    const on = document.activeElement;
    if (own(key)) { event.preventDefault(); return; }
    const radios = [...main.querySelectorAll("input[type=radio]")];
    if (/^[1-9]$/.test(key) && radios[key - 1]) { radios[key - 1].focus(); radios[key - 1].click(); event.preventDefault(); }
    if (key === "enter" && !["BUTTON", "A"].includes(on?.tagName)) { main.querySelector("button.main").click(); event.preventDefault(); }
  };
}

const LETTERS = "ABCDEFGHIJKL";

function page() {
  if (state.place >= pages.length) { record("end"); go("end"); return; }
  const entry = pages[state.place], { part, page, order, practice } = entry;
  const alert = alertBox(), begun = performance.now();
  const names = new Map(order.map((id, index) => [id, order.length > 1 ? LETTERS[index] : "Sound"]));
  const voices = [...(page.reference ? ["reference"] : []), ...order];
  const fileFor = id => id === "reference" ? page.reference : id;
  player = new Player(voices, () => showPlaying(part.least_heard_s), fileFor);
  const isHeard = id => player.heard.get(id) >= needed(part.least_heard_s);
  const nameOf = id => id === "reference" ? "the reference" : order.length > 1 ? names.get(id) : "the sound";
  player.locked = id => {
    if (part.reference === "first" && id !== "reference" && !isHeard("reference")) return "Listen to the reference first.";
    const missing = part.reference === "last" && id === "reference" && order.find(other => !isHeard(other));
    return missing ? `Listen to ${nameOf(missing)} before the reference.` : null;
  };
  const reference = page.reference ? soundButton("reference", "Reference", "r") : null;
  const buttons = order.map(id => soundButton(id, names.get(id), names.get(id)[0].toLowerCase()));
  const asked = part.page === "rating" ? rating(order, buttons) : part.page === "direction" && part.answers === "half-circle"
    ? halfCircle() : choices(part, order, names);
  const picture = page.picture ? showPicture(page.picture, part.page === "rating") : null;
  if (picture?.tagName === "VIDEO") player.video = picture;
  const step = () => {
    player.count();
    if (picture?.dataset.failed) {
      alert.textContent = "The picture, without which this page cannot be answered, does not load. It is tried again.";
      return;
    }
    const missing = voices.find(id => !isHeard(id));
    if (missing) {
      const least = Number.isFinite(needed(part.least_heard_s)) ? `${Math.ceil(needed(part.least_heard_s))} seconds of ` : "";
      alert.textContent = `Listen to ${least}${nameOf(missing)} first.`;
      return;
    }
    const answer = asked.value();
    if (typeof answer === "string" && answer.startsWith("!")) { alert.textContent = answer.slice(1); return; }
    player.stop();
    const heard = Object.fromEntries([...new Set(voices.map(fileFor))].map(file => [file,
      Math.round(1000 * Math.max(...voices.filter(id => fileFor(id) === file).map(id => player.heard.get(id)))) / 1000]));
    const place = state.place;
    state.place += 1;
    record("answer", { page: page.id, order, answer, heard_s: heard, seconds: Math.round(performance.now() - begun) / 1000 });
    for (const file of [...files.keys()]) if (!(pages[place + 1] && soundsOf(pages[place + 1]).includes(file))) files.delete(file);
    next();
  };
  const sounds = make("div", { className: "sounds" }, reference, ...(part.page === "rating" ? [] : buttons));
  const keyNames = [...(reference ? ["R"] : []), ...buttons.map(button => button.dataset.key.toUpperCase())];
  show(page.question, `${keyNames.join(", ")} ${keyNames.length > 1 ? "play" : "plays"}, 0 stops` +
    `${asked.keyText || ""}, Enter goes on`,
    practice ? make("p", { className: "practice" }, "A page for practice: your answer does not count.") : null,
    picture, sounds, asked.element, alert, make("button", { className: "main", onclick: step }, "Next"));
  showPlaying(part.least_heard_s);
  listenForKeys(key => {
    if (key === "0") { player.stop(); return true; }
    const button = main.querySelector(`button.sound[data-key="${CSS.escape(key)}"]`);
    if (button) button.click();
    return button !== null;
  });
  soundsOf(entry).forEach(id => fileOf(id).catch(() => {}));
  if (pages[state.place + 1]) soundsOf(pages[state.place + 1]).forEach(id => fileOf(id).catch(() => {}));
}

// A still or a video, asked for again when it does not come.
function showPicture(source, small) {
  const common = { className: small ? "picture small" : "picture", src: source };
  const picture = source.endsWith(".mp4")
    ? make("video", { ...common, muted: true, playsInline: true, preload: "auto", "aria-label": "Video of what is heard" })
    : make("img", { ...common, alt: "Picture of what is heard" });
  let tries = 0;
  picture.addEventListener("error", () => {
    picture.dataset.failed = "yes";
    tries += 1;
    setTimeout(() => { if (picture.isConnected) picture.src = `${source}?${tries}`; }, 1000 * Math.min(tries, 10));
  });
  for (const event of ["load", "loadeddata"]) picture.addEventListener(event, () => { delete picture.dataset.failed; });
  return picture;
}

function choices(part, order, names) {
  const offered = part.page === "direction" ? [["left", "Left"], ["centre", "Centre"], ["right", "Right"]]
    : [...order.map(id => [id, names.get(id)]), ...(part.neutral ? [["neutral", "No difference"]] : [])];
  const element = make("fieldset", { className: part.page }, make("legend", {}, "Your answer"),
    ...offered.map(([value, name]) => make("label", { className: "choice" },
      make("input", { type: "radio", name: "answer", value }), ` ${name}`)));
  return { element, keyText: `, 1 to ${offered.length} choose`,
    value: () => element.querySelector("input:checked")?.value ?? "!Choose an answer." };
}

function rating(order, buttons) {
  const sliders = new Map();
  const rows = order.map((id, index) => {
    const output = make("output", {}, "–");
    const slider = make("input", { type: "range", className: "unset", min: "0", max: "100", step: "1", value: "50", "aria-label": `Rating of ${LETTERS[index]}` });
    const set = () => { slider.className = ""; output.textContent = slider.value; };
    slider.addEventListener("input", set);
    slider.addEventListener("change", set);
    slider.addEventListener("pointerup", set);                            // 50 is an answer, too
    slider.addEventListener("keydown", event => { if (event.key.startsWith("Arrow")) setTimeout(set); });
    sliders.set(id, slider);
    return make("div", { className: "row" }, buttons[index], slider, output);
  });
  const scale = make("div", { className: "scale", "aria-hidden": "true" },
    ...["bad", "poor", "fair", "good", "excellent"].map(word => make("span", {}, word)));
  const element = make("div", { className: "rating" },
    make("p", {}, "One of the sounds is the reference itself: it should get 100. 0 is as far from it as can be."), scale, ...rows);
  return { element, keyText: ", arrows move a slider", value: () => {
    const missing = order.findIndex(id => sliders.get(id).className === "unset");
    if (missing >= 0) return `!Rate ${LETTERS[missing]}, too.`;
    return Object.fromEntries(order.map(id => [id, Number(sliders.get(id).value)]));
  } };
}

function halfCircle() {
  let angle = null;                                                       // degrees, positive to the left
  const at = (degrees, radius) => [100 - radius * Math.sin(degrees * Math.PI / 180), 100 - radius * Math.cos(degrees * Math.PI / 180)];
  const ticks = [-90, -60, -30, 0, 30, 60, 90].map(degrees => {
    const [x1, y1] = at(degrees, 84), [x2, y2] = at(degrees, 92);
    return draw("line", { x1, y1, x2, y2, class: "tick" });
  });
  const hand = draw("circle", { r: 7, class: "hand", visibility: "hidden" });
  const svg = draw("svg", { viewBox: "0 0 200 118", role: "slider", tabindex: 0, "aria-label": "Direction of the sound",
    "aria-valuemin": -90, "aria-valuemax": 90, "aria-valuenow": 0, "aria-valuetext": "not chosen", class: "half-circle" },
    draw("path", { d: "M 12 100 A 88 88 0 0 1 188 100", class: "arc" }), ...ticks,
    draw("circle", { cx: 100, cy: 100, r: 11, class: "head" }), draw("path", { d: "M 95 90 L 100 83 L 105 90 Z", class: "head" }),
    ...[["Left", 4, "start"], ["Right", 196, "end"]].map(([name, x, anchor]) => {
      const text = draw("text", { x, y: 114, "text-anchor": anchor });
      text.textContent = name;
      return text;
    }), hand);
  const label = make("p", { className: "angle" }, "Click or use the arrow keys: where is it around you?");
  const set = degrees => {
    angle = Math.max(-90, Math.min(90, Math.round(degrees)));
    const [x, y] = at(angle, 88), size = Math.abs(angle);
    hand.setAttribute("cx", x); hand.setAttribute("cy", y); hand.setAttribute("visibility", "visible");
    const text = size === 0 ? "straight ahead" : `${size} degrees to the ${angle > 0 ? "left" : "right"}`;
    svg.setAttribute("aria-valuenow", angle); svg.setAttribute("aria-valuetext", text);
    label.textContent = text;
  };
  const pointed = event => {
    const box = svg.getBoundingClientRect(), scale = 200 / box.width;
    const x = (event.clientX - box.left) * scale - 100, y = 100 - (event.clientY - box.top) * scale;
    set(Math.atan2(-x, Math.max(0, y)) * 180 / Math.PI);
  };
  svg.addEventListener("pointerdown", event => { svg.setPointerCapture(event.pointerId); pointed(event); });
  svg.addEventListener("pointermove", event => { if (event.buttons) pointed(event); });
  svg.addEventListener("keydown", event => {
    const steps = { ArrowLeft: 5, ArrowRight: -5, ArrowUp: 1, ArrowDown: -1 };
    if (event.key in steps) { set((angle ?? 0) + steps[event.key]); event.preventDefault(); }
    if (event.key === "Home") { set(90); event.preventDefault(); }
    if (event.key === "End") { set(-90); event.preventDefault(); }
  });
  return { element: make("div", {}, svg, label), keyText: ", arrows move the direction",
    value: () => angle ?? "!Choose a direction." };
}

function end() {
  const text = state.records.map(entry => JSON.stringify(entry)).join("\n") + "\n";
  const link = make("a", { className: "button", download: `answers-${state.session}.jsonl`,
    href: URL.createObjectURL(new Blob([text], { type: "application/x-ndjson" })) }, "Save the answers");
  const status = make("p", { role: "status", id: "status" });
  const another = make("button", { onclick: () => {
    state = freshState(); pages = plan(state.seed); refused = null; save(); next();
  } }, "Another listener begins");
  const update = () => {
    const arrived = window.COLLECT && state.sent >= state.records.length;
    const where = study.contact ? ` and send the file to ${study.contact}` : " and send the file to whoever asked you";
    status.textContent = arrived ? "All your answers have arrived. You can close this page."
      : !window.COLLECT ? `Please save your answers${where}.`
      : refused ? `The server does not take the answers (${refused}). Please save them${where}.`
      : "Your answers are being sent. Please leave this page open.";
    link.hidden = Boolean(arrived);
  };
  onsent = update;
  show("Thank you", "", status, make("p", {}, link), make("p", {}, another));
  update();
  send();
}

document.title = study.title;
document.getElementById("title").textContent = study.title;
if (state.stage !== "consent" && state.stage !== "end") { state.back = state.stage === "welcome" ? state.back : state.stage; state.stage = "welcome"; }
next();
send();

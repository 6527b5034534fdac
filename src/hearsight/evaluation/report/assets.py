"""Style and script of the report page; the page loads nothing from elsewhere."""

STYLE = """
:root { --ink:#1d2330; --soft:#5d6677; --line:#dfe3ea; --paper:#fff; --back:#f5f6f9; --accent:#0b63b5; }
* { box-sizing:border-box; }
body { margin:0; background:var(--back); color:var(--ink); 
  font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif; }
header { background:#16213a; color:#fff; padding:22px 32px; }
header h1 { margin:0 0 4px; font-size:24px; } header p { margin:0; color:#c9d3e6; }
nav { position:sticky; top:0; z-index:5; background:var(--paper); border-bottom:1px solid var(--line);
  padding:8px 32px; }
nav a { margin-right:18px; color:var(--accent); text-decoration:none; }
section, article { scroll-margin-top:52px; }
main { max-width:1800px; margin:0 auto; padding:20px 32px 60px; }
section, article.clip { background:var(--paper); border:1px solid var(--line); border-radius:8px; padding:16px 20px;
  margin:16px 0; }
h2 { margin:4px 0 12px; font-size:20px; } h3 { margin:4px 0 10px; font-size:16px; }
.note { color:var(--soft); font-size:13px; max-width:80em; }
/* What does not fit is reached by scrolling; a shadow at an edge says that there is more beyond it. */
.scroll { overflow-x:auto; background:
  linear-gradient(to right,var(--paper) 30%,transparent) left/40px 100% no-repeat local,
  linear-gradient(to left,var(--paper) 30%,transparent) right/40px 100% no-repeat local,
  linear-gradient(to right,rgba(20,30,50,.28),transparent) left/14px 100% no-repeat scroll,
  linear-gradient(to left,rgba(20,30,50,.28),transparent) right/14px 100% no-repeat scroll; }
.scroll td:first-child, .scroll th:first-child { position:sticky; left:0; background:var(--paper); }
.scroll td:first-child { white-space:normal; min-width:12em; max-width:24em; }
.scroll.scrolled td:first-child::before, .scroll.scrolled th:first-child::before { content:""; position:absolute;
  top:0; bottom:0; left:100%; width:14px; background:linear-gradient(to right,rgba(20,30,50,.28),transparent); }
td .better { color:#00724f; font-weight:700; } td .worse { color:#b03020; font-weight:700; }
table { border-collapse:collapse; font-variant-numeric:tabular-nums; font-size:14px; }
th, td { padding:5px 12px; border-bottom:1px solid var(--line); text-align:right; white-space:nowrap; }
th { white-space:normal; vertical-align:bottom; }
th:first-child, td:first-child { text-align:left; }
table.sortable th { cursor:pointer; user-select:none; } table.sortable th:hover { color:var(--accent); }
th[aria-sort=ascending]::after { content:" \\25B4"; } th[aria-sort=descending]::after { content:" \\25BE"; }
td.best { font-weight:700; } td small { color:var(--soft); font-weight:400; } td .published { font-style:italic; }
.plots { display:grid; grid-template-columns:repeat(auto-fit,minmax(440px,1fr)); gap:14px; }
svg.plot { width:100%; height:auto; background:var(--paper); } svg.plot text { font-size:12px; fill:var(--ink); }
svg.plot text.title { font-weight:600; font-size:13px; } svg.gains { max-width:860px; }
svg.plot .grid { stroke:var(--line); }
.columns { display:grid; grid-template-columns:minmax(300px,460px) 1fr; gap:22px; }
@media (max-width:900px) { .columns { grid-template-columns:1fr; } }
.frame { width:100%; max-height:300px; object-fit:contain; border-radius:6px; display:block; background:#000; }
.player { margin:10px 0; display:flex; flex-wrap:wrap; gap:8px; align-items:center; }
.player .play { width:40px; height:34px; font-size:16px; } .player .seek { flex:1; min-width:120px; }
.player .time { font-variant-numeric:tabular-nums; color:var(--soft); font-size:13px; }
.player .tracks { width:100%; display:flex; flex-wrap:wrap; gap:6px; }
button { border:1px solid var(--line); background:#fff; border-radius:6px; padding:5px 10px; font:inherit;
  cursor:pointer; }
button.track { border-left-width:6px; } button.track.on { background:#16213a; color:#fff; }
.panel { display:none; } .panel.on { display:block; }
figure { margin:0 0 8px; } figcaption { font-size:12.5px; color:var(--soft); }
.over { position:relative; } .over img { width:100%; display:block; border-radius:4px; image-rendering:auto; }
.cursor { position:absolute; top:0; bottom:0; width:2px; left:0; background:#37e; mix-blend-mode:difference; }
.maps { display:flex; flex-wrap:wrap; gap:10px; } .maps img { width:100%; display:block; border-radius:4px; }
.maps figure { width:250px; } .mixture { display:grid; gap:8px 14px; grid-template-columns:repeat(2,1fr); }
.two { display:grid; grid-template-columns:repeat(auto-fit,minmax(420px,1fr)); gap:20px; }
details summary { cursor:pointer; color:var(--accent); }
"""

SCRIPT = r"""
"use strict";
document.querySelectorAll("table.sortable").forEach(table => {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => head.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    [...table.tHead.rows[0].cells].forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = row => { const cell = row.cells[column]; return cell.dataset.value ?? cell.textContent.trim(); };
    const rows = [...body.rows].sort((a, b) => {
      const x = key(a), y = key(b), p = parseFloat(x), q = parseFloat(y);
      if (isNaN(p) !== isNaN(q)) return isNaN(p) ? 1 : -1;           // what has no value stays below
      const order = isNaN(p) ? x.localeCompare(y) : p - q;
      return down ? -order : order;
    });
    body.append(...rows);
  }));
});
document.querySelectorAll(".scroll").forEach(box =>
  box.addEventListener("scroll", () => box.classList.toggle("scrolled", box.scrollLeft > 0)));

let context = null, playing = null;                                     // one sound at a time on the page
class Player {
  constructor(clip) {
    this.clip = clip; this.root = clip.querySelector(".player");
    this.duration = parseFloat(this.root.dataset.duration);
    this.play = clip.querySelector(".play"); this.seek = clip.querySelector(".seek");
    this.time = clip.querySelector(".time"); this.buttons = [...clip.querySelectorAll("button.track")];
    this.cursors = [...clip.querySelectorAll(".cursor")];
    this.position = 0; this.voices = null; this.buffers = null;
    this.show(this.buttons.find(b => b.classList.contains("on")).dataset.track);
    this.play.addEventListener("click", () => this.voices ? this.pause() : this.start());
    this.seek.addEventListener("input", () => this.moveTo(parseFloat(this.seek.value)));
    this.buttons.forEach(b => b.addEventListener("click", () => this.show(b.dataset.track)));
    clip.querySelectorAll(".over").forEach(over => over.addEventListener("click", event => {
      const box = over.getBoundingClientRect();
      this.moveTo((event.clientX - box.left) / box.width * this.duration);
    }));
    this.state("paused"); this.draw();
  }
  state(name) { this.root.dataset.state = name; this.play.textContent = name === "playing" ? "❚❚" : "▶"; }
  async load() {
    if (this.buffers) return;
    context = context || new AudioContext();
    this.state("loading");
    const decoded = this.buttons.map(async button => {
      const text = atob(button.dataset.audio.split(",")[1]), bytes = new Uint8Array(text.length);
      for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
      return [button.dataset.track, await context.decodeAudioData(bytes.buffer)];
    });
    this.buffers = new Map(await Promise.all(decoded));
  }
  async start() {
    if (playing && playing !== this) playing.pause();
    playing = this;
    try { await this.load(); await context.resume(); }
    catch (error) { this.state("error"); this.time.textContent = "this browser cannot play it: " + error; return; }
    if (this.position >= this.duration - 0.02) this.position = 0;
    // All tracks run at once, all but one silent: switching is a change of gains and stays in step to the sample.
    const at = context.currentTime + 0.05;
    this.voices = new Map();
    for (const [name, buffer] of this.buffers) {
      const source = context.createBufferSource(), gain = context.createGain();
      source.buffer = buffer; gain.gain.value = name === this.track ? 1 : 0;
      source.connect(gain).connect(context.destination); source.start(at, this.position);
      this.voices.set(name, { source, gain });
    }
    this.began = at - this.position;
    this.state("playing"); this.tick();
  }
  pause() {
    if (!this.voices) return;
    this.position = this.now();
    for (const { source } of this.voices.values()) source.stop();
    this.voices = null; this.state("paused"); this.draw();
  }
  moveTo(seconds) {
    const was = this.voices !== null;
    this.pause(); this.position = Math.max(0, Math.min(seconds, this.duration)); this.draw();
    if (was) this.start();
  }
  show(track) {
    this.track = track; this.root.dataset.track = track;
    this.buttons.forEach(b => b.classList.toggle("on", b.dataset.track === track));
    this.clip.querySelectorAll(".panel").forEach(p => p.classList.toggle("on", p.dataset.panel === track));
    if (this.voices) for (const [name, { gain }] of this.voices)
      gain.gain.setTargetAtTime(name === track ? 1 : 0, context.currentTime, 0.005);
  }
  gains() { return Object.fromEntries([...(this.voices || [])].map(([name, v]) => [name, v.gain.gain.value])); }
  now() { return this.voices ? Math.min(this.duration, Math.max(0, context.currentTime - this.began)) : this.position; }
  tick() {
    if (!this.voices) return;
    if (this.now() >= this.duration) { this.pause(); this.position = 0; this.draw(); return; }
    this.draw(); requestAnimationFrame(() => this.tick());
  }
  draw() {
    const now = this.now();
    this.seek.value = now; this.time.textContent = now.toFixed(1) + " / " + this.duration.toFixed(1) + " s";
    this.cursors.forEach(c => { c.style.left = (now / this.duration * 100) + "%"; });
  }
}
document.querySelectorAll("article.clip").forEach(clip => { clip.player = new Player(clip); });
document.body.dataset.ready = "yes";
"""

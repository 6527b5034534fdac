// The sound of the page: original, parts and their sum, all running in step; switching only changes gains.
//
// Each part comes as both ears, rendered on the server, of which the mean is the part's mono sound. While a part is being
// moved, or the head is turned, its mono sound is encoded here as first-order ambisonics (W, Y, Z, X; SN3D), the field is
// turned against the head, and four convolutions with what virtual loudspeakers around a head send to its ears decode it.

const FADE_S = 0.012;          // time constant of every change of a gain
const AHEAD_S = 0.06;          // between the order to start and the first sample
const STORED_GAIN = 2;         // files hold half the level, so that nothing is cut off

export class Sound {
  constructor(rate, context = makeContext(rate)) {
    this.context = context;
    this.parts = new Map();    // number -> part
    this.buffers = new Map();  // file -> decoded
    this.position = 0; this.duration = 0; this.playing = false;
    this.chosen = "binaural"; this.yaw = 0; this.pitch = 0;
    this.onend = () => {};
    const c = this.context;
    this.master = c.createGain();
    this.level = c.createGain(); this.level.connect(this.master);
    this.original = this.stream(); this.originalGain = c.createGain(); this.originalGain.gain.value = 0;
    this.original.input.connect(this.originalGain).connect(this.master);
    // The field: W as it is, (X, Y, Z) through a rotation.
    this.field = [0, 1, 2, 3].map(() => monoGain(c, 1));
    this.turned = [0, 1, 2, 3].map(() => monoGain(c, 1));
    this.field[0].connect(this.turned[0]);
    this.rotation = [1, 2, 3].map(to => [1, 2, 3].map(from => {
      const gain = c.createGain(); gain.gain.value = to === from ? 1 : 0;
      this.field[from].connect(gain).connect(this.turned[to]);
      return gain;
    }));
    this.convolvers = this.turned.map(channel => {
      const node = c.createConvolver(); node.normalize = false;
      channel.connect(node).connect(this.level);
      return node;
    });
    const ears = c.createChannelSplitter(2);
    this.analysers = [0, 1].map(ear => {
      const node = c.createAnalyser(); node.fftSize = 2048; ears.connect(node, ear); return node;
    });
    this.out = c.createWaveShaper();               // as it is, but for what would be cut off
    this.out.curve = softLimit();
    this.master.connect(ears);
    this.master.connect(this.out).connect(c.destination);
    this.clock = setInterval(() => this.tick(), 30);
  }

  // One input that changes its buffer without a gap.
  stream() { return { input: this.context.createGain(), buffer: null, voice: null }; }

  async fetch(url) {
    if (!this.buffers.has(url)) this.buffers.set(url, (async () => {
      const answer = await fetch(url);
      if (!answer.ok) throw new Error("a sound is not on the server any more; upload the video again");
      return this.context.decodeAudioData(await answer.arrayBuffer());
    })());
    try { return await this.buffers.get(url); }
    catch (error) { this.buffers.delete(url); throw error; }
  }
  forget(urls) { for (const url of [...this.buffers.keys()]) if (!urls.has(url)) this.buffers.delete(url); }

  async load(original, decoder, duration) {
    const [sound, filters] = await Promise.all([this.fetch(original), this.fetch(decoder)]);
    this.duration = duration;
    this.put(this.original, sound);
    this.convolvers.forEach((node, channel) => {   // channels of the file: left and right ear of W, Y, Z, X
      const both = this.context.createBuffer(2, filters.length, this.context.sampleRate);
      for (const ear of [0, 1])
        both.copyToChannel(filters.getChannelData(2 * channel + ear).map(value => value * STORED_GAIN), ear);
      node.buffer = both;
    });
  }

  part(number) {
    if (!this.parts.has(number)) {
      const c = this.context, part = this.stream();
      part.direct = c.createGain(); part.mono = monoGain(c, 0); part.gain = c.createGain();
      part.gain.gain.value = 0;
      part.input.connect(part.gain);
      part.gain.connect(part.direct).connect(this.level);
      part.gain.connect(part.mono);
      part.encode = [1, 0, 0, 0].map((value, channel) => {
        const gain = c.createGain(); gain.gain.value = value;
        part.mono.connect(gain).connect(this.field[channel]);
        return gain;
      });
      part.direction = () => [0, 0]; part.volume = 1; part.stale = false; part.alone = number;
      this.parts.set(number, part);
    }
    return this.parts.get(number);
  }

  // The parts that there are: {number, buffer, direction(time) in radians, volume, stale, alone: the choice it belongs to}.
  set(parts, level) {
    const numbers = new Set(parts.map(part => part.number));
    for (const [number, part] of this.parts) if (!numbers.has(number)) {
      this.stop(part); part.direct.disconnect(); part.encode.forEach(gain => gain.disconnect());
      this.parts.delete(number);
    }
    for (const given of parts) {
      const part = this.part(given.number);
      part.direction = given.direction; part.volume = given.volume; part.stale = given.stale; part.alone = given.alone;
      if (given.buffer && given.buffer !== part.buffer) this.put(part, given.buffer);
    }
    this.ramp(this.level.gain, level);
    this.mix();
  }

  put(stream, buffer) {
    stream.buffer = buffer;
    if (!this.playing) return;
    const at = this.context.currentTime + 0.03, old = stream.voice;
    if (old) { old.gain.gain.setTargetAtTime(0, at, FADE_S); old.source.stop(at + 10 * FADE_S); }
    stream.voice = this.voice(stream, at, at - this.began, 0);
    stream.voice.gain.gain.setTargetAtTime(1, at, FADE_S);
  }
  voice(stream, at, offset, value) {
    const source = this.context.createBufferSource(), gain = this.context.createGain();
    source.buffer = stream.buffer; gain.gain.value = value * STORED_GAIN;
    const set = gain.gain.setTargetAtTime.bind(gain.gain);
    gain.gain.setTargetAtTime = (target, time, constant) => set(target * STORED_GAIN, time, constant);
    source.connect(gain).connect(stream.input);
    source.start(at, Math.max(0, offset));
    return { source, gain };
  }
  stop(stream) { if (stream.voice) { stream.voice.source.stop(); stream.voice = null; } }

  streams() { return [this.original, ...this.parts.values()]; }
  async play() {
    await this.context.resume();
    if (this.playing) return;
    if (this.position >= this.duration - 0.03) this.position = 0;
    const at = this.context.currentTime + AHEAD_S;
    this.began = at - this.position; this.playing = true;
    for (const stream of this.streams()) if (stream.buffer) stream.voice = this.voice(stream, at, this.position, 1);
    this.tick();
  }
  pause() {
    if (!this.playing) return;
    this.position = this.now(); this.playing = false;
    this.streams().forEach(stream => this.stop(stream));
  }
  async moveTo(seconds) {
    const was = this.playing;
    this.pause(); this.position = Math.max(0, Math.min(seconds, this.duration));
    if (was) await this.play();
  }
  now() {
    if (!this.playing) return this.position;
    return Math.min(this.duration, Math.max(0, this.context.currentTime - this.began));
  }
  heard() {   // what comes out of the headphones now
    return this.playing ? Math.max(0, this.now() - (this.context.outputLatency || 0)) : this.position;
  }

  choose(choice) { this.chosen = choice; this.mix(); }
  turn(yaw, pitch) { this.yaw = yaw; this.pitch = pitch; this.mix(); }
  get isTurned() { return Math.abs(this.yaw) > 1e-3 || Math.abs(this.pitch) > 1e-3; }
  mix() {
    this.ramp(this.originalGain.gain, this.chosen === "original" ? 1 : 0);
    for (const part of this.parts.values()) {
      const inField = this.isTurned || part.stale;
      const volume = this.chosen === "binaural" ? part.volume : this.chosen === part.alone ? 1 : 0;
      this.ramp(part.gain.gain, volume);
      this.ramp(part.direct.gain, inField ? 0 : 1);
      this.ramp(part.mono.gain, inField ? 1 : 0);
    }
    // Where the world is for a head that has turned: (X, Y, Z) = (ahead, left, up); channels 1, 2, 3 are Y, Z, X.
    const [a, b, p, q] = [Math.cos(this.yaw), Math.sin(this.yaw), Math.cos(this.pitch), Math.sin(this.pitch)];
    const rows = { X: [p * a, p * b, q], Y: [-b, a, 0], Z: [-q * a, -q * b, p] };
    ["Y", "Z", "X"].forEach((to, row) => [1, 2, 0].forEach((axis, column) =>
      this.ramp(this.rotation[row][column].gain, rows[to][axis])));
    this.encode();
  }
  encode() {
    const now = this.now();
    for (const part of this.parts.values()) {
      const [azimuth, elevation] = part.direction(now);
      const side = Math.sin(azimuth) * Math.cos(elevation), front = Math.cos(azimuth) * Math.cos(elevation);
      [1, side, Math.sin(elevation), front].forEach((value, channel) => this.ramp(part.encode[channel].gain, value));
    }
  }
  ramp(parameter, value) {
    if (parameter.target === value) return;
    parameter.target = value;
    parameter.setTargetAtTime(value, this.context.currentTime, FADE_S);
  }
  tick() {
    if (!this.playing) return;
    this.encode();
    if (this.context.currentTime - this.began >= this.duration) { this.pause(); this.position = 0; this.onend(); }
  }

  levels() {   // of both ears, in decibels of full scale
    return this.analysers.map(node => {
      const block = new Float32Array(node.fftSize);
      node.getFloatTimeDomainData(block);
      return 10 * Math.log10(block.reduce((sum, value) => sum + value * value, 0) / block.length + 1e-12);
    });
  }
  async check(ear) {   // short noise in one ear
    await this.context.resume();
    const c = this.context, length = Math.round(0.7 * c.sampleRate);
    const buffer = c.createBuffer(2, length, c.sampleRate), data = buffer.getChannelData(ear);
    for (let i = 0, low = 0; i < length; i++) {
      low += 0.08 * (Math.random() * 2 - 1 - low);
      data[i] = 0.5 * low * Math.min(1, i / 1000, (length - i) / 3000) * (Math.floor(i / length * 6) % 2 ? 0.15 : 1);
    }
    const source = c.createBufferSource();
    source.buffer = buffer; source.connect(this.master); source.start();
  }
  async close() { clearInterval(this.clock); this.pause(); await this.context.close(); }
}

function makeContext(rate) {
  try { return new AudioContext({ sampleRate: rate }); }
  catch { return new AudioContext(); }   // a rate that this browser does not have: files are resampled when decoded
}
// Straight up to -3 dB of full scale, bent above.
function softLimit() {
  const curve = new Float32Array(4097), knee = Math.SQRT1_2, range = 1 - knee;
  return curve.map((_, index) => {
    const value = (index - 2048) / 2048, over = Math.abs(value) - knee;
    return over <= 0 ? value : Math.sign(value) * (knee + range * Math.tanh(over / range));
  });
}
function monoGain(context, value) {
  const node = context.createGain();
  node.gain.value = value; node.channelCount = 1; node.channelCountMode = "explicit";
  node.channelInterpretation = "speakers";   // two channels become their mean
  return node;
}

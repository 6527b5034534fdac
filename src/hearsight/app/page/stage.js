// What is drawn: outlines over the picture, the head from above and from the side, levels.

export const COLOURS = ["#0b63b5", "#b84a00", "#00755a", "#a33b7d", "#7a5c00", "#4f6476", "#6b4fb3", "#8a1c3b"];
export const RING = 0.4;          // radius of a view of the head, of its side
const MARKER = 22;               // pixels, half of the round button at a source
const degrees = radians => radians * 180 / Math.PI;

// Where a source is at a time: a track is a list of [time, x, y], straight between its points.
export function placeAt(track, time) {
  let low = 0, high = track.length - 1;
  if (time <= track[0][0]) return track[0].slice(1, 3);
  if (time >= track[high][0]) return track[high].slice(1, 3);
  while (high - low > 1) { const middle = (low + high) >> 1; if (track[middle][0] <= time) low = middle; else high = middle; }
  const [from, to] = [track[low], track[high]], part = (time - from[0]) / Math.max(1e-9, to[0] - from[0]);
  return [from[1] + part * (to[1] - from[1]), from[2] + part * (to[2] - from[2])];
}

// The direction of a place in the picture, as `hearsight.acoustics.picture_to_direction` has it; radians, left positive.
export function directionOf([x, y], fovDegrees, strength) {
  const clip = value => Math.min(1, Math.max(0, value));
  return [(0.5 - clip(x)) * fovDegrees * strength * Math.PI / 180, Math.atan((0.5 - clip(y)) * 2 * Math.PI / 3)];
}

export function inWords(azimuth, elevation = 0) {
  const [side, height] = [azimuth, elevation].map(angle => Math.round(Math.abs(degrees(angle))));
  const words = side < 1 ? "ahead" : `${side}° ${azimuth > 0 ? "left" : "right"}`;
  return height < 1 ? words : `${words}, ${height}° ${elevation > 0 ? "up" : "down"}`;
}

export function drawOutlines(canvas, sources, time) {
  const scale = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale); canvas.height = Math.round(height * scale);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  const written = [];
  for (const source of sources) {
    const [x, y] = placeAt(source.track, time);
    let down = MARKER;
    pen.globalAlpha = source.faint ? 0.35 : 1;
    if (source.size.length) {   // of one that was given by hand, or found by motion, the marker alone is shown
      const [wide, high] = placeAt(source.size, time);
      down = Math.max(down, high / 2 * height);
      pen.beginPath();
      pen.ellipse(x * width, y * height, Math.max(MARKER, wide / 2 * width), down, 0, 0, 2 * Math.PI);
      pen.lineWidth = 6; pen.strokeStyle = "#fff"; pen.stroke();
      pen.lineWidth = 3; pen.strokeStyle = source.colour; pen.stroke();
    }
    pen.lineWidth = 3; pen.strokeStyle = source.colour;
    pen.beginPath();      // where it goes in the next three seconds
    for (let at = 0; at <= 3; at += 0.25) {
      const [px, py] = placeAt(source.track, time + at);
      pen[at ? "lineTo" : "moveTo"](px * width, py * height);
    }
    pen.setLineDash([2, 6]); pen.stroke(); pen.setLineDash([]);
    pen.font = "600 14px system-ui"; pen.textAlign = "center"; pen.textBaseline = "middle"; pen.lineJoin = "round";
    const half = pen.measureText(source.label).width / 2 + 4, at = Math.min(width - half, Math.max(half, x * width));
    const under = [y * height + down + 16, y * height - down - 14, y * height + down + 35, y * height - down - 33, height - 12]
      .find((place, index) => index === 4 || place > 10 && place < height - 8 &&
        !written.some(other => Math.abs(other.under - place) < 18 && Math.abs(other.at - at) < other.half + half));
    written.push({ under, at, half });
    pen.lineWidth = 4; pen.strokeStyle = "rgb(0 0 0 / .85)"; pen.strokeText(source.label, at, under);
    pen.fillStyle = "#fff"; pen.fillText(source.label, at, under);
  }
  pen.globalAlpha = 1;
}

// A view of the head in its circle, and the sources around it at [across, down] of the circle's radius.
function drawView(canvas, words, drawn, sources) {
  const pen = canvas.getContext("2d"), side = canvas.width, middle = side / 2, ring = side * RING;
  const style = getComputedStyle(canvas), colour = name => style.getPropertyValue(name);
  pen.clearRect(0, 0, side, side);
  pen.fillStyle = colour("--paper"); pen.strokeStyle = colour("--line"); pen.lineWidth = 2;
  pen.beginPath(); pen.arc(middle, middle, ring, 0, 2 * Math.PI); pen.fill(); pen.stroke();
  pen.textAlign = "center"; pen.textBaseline = "middle";
  drawn(pen, middle, ring, colour);
  pen.fillStyle = colour("--ink"); pen.font = "26px system-ui"; pen.fillText(words, middle, middle + ring / 2);
  for (const { source, across, down } of sources) {
    const [x, y] = [middle + across * ring, middle + down * ring];
    pen.globalAlpha = source.faint ? 0.35 : 1;
    pen.beginPath(); pen.arc(x, y, 24, 0, 2 * Math.PI); pen.fillStyle = source.colour; pen.fill();
    pen.lineWidth = 3; pen.strokeStyle = colour("--paper"); pen.stroke();
    pen.fillStyle = "#fff"; pen.font = "bold 28px system-ui"; pen.fillText(source.sign, x, y + 1);
    pen.globalAlpha = 1;
  }
}

export function drawTop(canvas, sources, time, yaw, fovDegrees, strength) {
  drawView(canvas, "from above", (pen, middle, ring, colour) => {
    const half = fovDegrees / 2 * Math.PI / 180;     // what the picture covers
    pen.beginPath(); pen.moveTo(middle, middle);
    pen.arc(middle, middle, ring, -Math.PI / 2 - half, -Math.PI / 2 + half); pen.closePath();
    pen.globalAlpha = 0.12; pen.fillStyle = colour("--accent"); pen.fill(); pen.globalAlpha = 1;
    pen.save(); pen.translate(middle, middle); pen.rotate(-yaw);
    pen.fillStyle = colour("--ink"); pen.beginPath(); pen.arc(0, 0, 40, 0, 2 * Math.PI); pen.fill();
    pen.beginPath(); pen.moveTo(-12, -36); pen.lineTo(0, -56); pen.lineTo(12, -36); pen.fill();
    for (const ear of [-1, 1]) { pen.beginPath(); pen.ellipse(ear * 42, 2, 8, 15, 0, 0, 2 * Math.PI); pen.fill(); }
    pen.fillStyle = colour("--paper"); pen.font = "bold 20px system-ui"; pen.fillText("L", -22, 4); pen.fillText("R", 22, 4);
    pen.restore();
  }, sources.map(source => {
    const [azimuth] = directionOf(placeAt(source.track, time), fovDegrees, strength);
    return { source, across: -Math.sin(azimuth), down: -Math.cos(azimuth) };
  }));
}

// From the right side of the head as it is turned: ahead of it is to the right, and what is beside it is near the middle.
export function drawSide(canvas, sources, time, yaw, pitch, fovDegrees, strength) {
  drawView(canvas, "from the side", (pen, middle, ring, colour) => {
    pen.strokeStyle = colour("--line"); pen.setLineDash([6, 6]);
    pen.beginPath(); pen.moveTo(middle - ring, middle); pen.lineTo(middle + ring, middle); pen.stroke(); pen.setLineDash([]);
    pen.save(); pen.translate(middle, middle); pen.rotate(-pitch);
    pen.fillStyle = colour("--ink"); pen.beginPath(); pen.ellipse(-2, 0, 42, 46, 0, 0, 2 * Math.PI); pen.fill();
    pen.beginPath(); pen.moveTo(36, -14); pen.lineTo(56, 6); pen.lineTo(34, 12); pen.fill();
    pen.fillStyle = colour("--paper"); pen.beginPath(); pen.ellipse(-4, 2, 8, 14, 0, 0, 2 * Math.PI); pen.fill();
    pen.restore();
  }, sources.map(source => {
    const [azimuth, elevation] = directionOf(placeAt(source.track, time), fovDegrees, strength);
    return { source, across: Math.cos(elevation) * Math.cos(azimuth - yaw), down: -Math.sin(elevation) };
  }));
}

export function drawLevels(bars, levels) {
  bars.forEach((bar, ear) => {
    const share = Math.min(1, Math.max(0, (levels[ear] + 60) / 60));
    bar.style.width = `${share * 100}%`;
    bar.style.setProperty("--whole", `${100 / Math.max(share, 0.01)}%`);
  });
}

export function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

// What is written below the pictures in a headset, and its buttons, which a ray points at.

import { PHASES, clockLine, countLine, going, heldLine, labelOf, loopLine, offered } from "./requests.js";

export const WIDTH = 1024;
export const HEIGHT = 400;

const COLOURS = { recording: "#ff5d5d", ready: "#4cc9a0", judging: "#ffc857" };
const BUTTON_TOP = 236;
const BUTTON_HEIGHT = 88;
const GAP = 14;
const EVERY = 250; // ms
const MARGIN = 28;

export class Panel {
  constructor() {
    this.canvas = new OffscreenCanvas(WIDTH, HEIGHT);
    this.renewed = true;
    this.pointed = null;
    this.#draw = this.canvas.getContext("2d");
    this.#paint({ poses: 0, held: {}, collection: null }, null, 1);
  }

  #draw;
  #buttons = [];
  #urgent = "";
  #painted = 0;
  #shown = [];

  // Painting takes a part of a frame: numbers wait a little, what the person waits for does not.
  show(status, latency, scale) {
    const urgent = [status.collection?.phase, status.collection?.notice, heldLine(status.held)].join();
    const now = performance.now();
    if (urgent === this.#urgent && now < this.#painted + EVERY) return;
    this.#urgent = urgent;
    this.#painted = now;
    this.#paint(status, latency, scale);
  }

  // The request of the button at a place, 0 to 1 from the left and from the top; null beside them.
  at(across, down) {
    const [x, y] = [across * WIDTH, down * HEIGHT];
    if (y < BUTTON_TOP || y > BUTTON_TOP + BUTTON_HEIGHT) return null;
    return this.#buttons.find(({ left, width }) => x >= left && x <= left + width)?.request ?? null;
  }

  point(request) {
    if (request === this.pointed) return;
    this.pointed = request;
    this.#paint(...this.#shown);
  }

  #paint(status, latency, scale) {
    this.#shown = [status, latency, scale];
    this.renewed = true;
    const draw = this.#draw;
    const collection = status.collection;
    const phase = collection?.phase ?? "none";
    draw.fillStyle = "#12191d";
    draw.fillRect(0, 0, WIDTH, HEIGHT);
    draw.fillStyle = COLOURS[phase] ?? "#7d8b94";
    draw.fillRect(0, 0, WIDTH, 8);
    this.#text(PHASES[phase], MARGIN, 72, "600 44px", COLOURS[phase] ?? "#e8eef1");
    if (collection) {
      this.#text(countLine(collection), 390, 72, "40px", "#e8eef1");
      if (going(phase))
        this.#text(clockLine(collection), WIDTH - MARGIN, 72, "600 44px", "#e8eef1", "right");
    }
    const way = latency === null ? "" : `, ${latency.toFixed(0)} ms`;
    const loop = collection ? `, ${loopLine(collection)}` : "";
    const rates = `${status.poses.toFixed(0)} poses/s${way}${loop}, scale ${scale}`;
    this.#text(rates, MARGIN, 128, "27px", "#9fb0b9");
    const notice = collection?.notice || heldLine(status.held);
    this.#text(notice, MARGIN, 190, "34px", collection?.notice ? "#ffc857" : "#cfe8df");
    this.#paintButtons([...offered(phase), "stop"], phase);
    const legend =
      "right A: start, keep   B: discard      left X: keep as failed   Y: redo      stick: centre";
    this.#text(`${legend}      A+B or X+Y: STOP`, MARGIN, HEIGHT - 24, "22px", "#7d8b94");
  }

  #paintButtons(requests, phase) {
    const width = (WIDTH - 2 * MARGIN - (requests.length - 1) * GAP) / requests.length;
    this.#buttons = requests.map((request, index) => {
      const left = MARGIN + index * (width + GAP);
      const draw = this.#draw;
      draw.fillStyle = request === "stop" ? "#b3261e" : "#22323a";
      if (request === this.pointed) draw.fillStyle = request === "stop" ? "#ff5d5d" : "#2f7f68";
      draw.beginPath();
      draw.roundRect(left, BUTTON_TOP, width, BUTTON_HEIGHT, 16);
      draw.fill();
      const middle = [left + width / 2, BUTTON_TOP + BUTTON_HEIGHT / 2 + 11];
      const size = requests.length > 3 ? "600 26px" : "600 34px";
      this.#text(labelOf(request, phase), ...middle, size, "#ffffff", "center", width - GAP);
      return { request, left, width };
    });
  }

  #text(text, x, y, font, colour, align = "left", most = WIDTH - 2 * MARGIN) {
    const draw = this.#draw;
    draw.font = `${font} system-ui, sans-serif`;
    draw.fillStyle = colour;
    draw.textAlign = align;
    draw.fillText(text, x, y, most);
  }
}

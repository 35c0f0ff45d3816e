// A WebXR session: reads the hands each frame, sends them, and draws for the person.

import { facingOf, handOf, phoneOf } from "./hands.js";
import { Panel } from "./panel.js";
import { Scene } from "./scene.js";

const STICK = 3;
const NEAR = 4; // A or X
const FAR = 5; // B or Y
const SQUEEZE = 1;
const STICK_UP = 3; // of the axes
const HALF = 0.5;
const SCALE_STEP = 0.25;

export class Headset {
  #link;
  #settings;
  #touch;
  #session = null;
  #space;
  #layer;
  #scene;
  #panel = new Panel();
  #facing = null;
  #pressed = new Map();
  #phase = "none";
  #moves = {};

  // Calls `changed` with null, "headset" or "phone", when a session begins or ends.
  constructor(link, settings, touch, changed) {
    this.#link = link;
    this.#settings = settings;
    this.#touch = touch;
    this.changed = changed;
  }

  get running() {
    return this.#session !== null;
  }

  async enter(mode) {
    const session = await navigator.xr.requestSession(mode, {
      requiredFeatures: ["local"],
      optionalFeatures: ["local-floor", "hand-tracking", "dom-overlay"],
      domOverlay: { root: document.body },
    });
    const gl = document.createElement("canvas").getContext("webgl2", { xrCompatible: true });
    this.#layer = new XRWebGLLayer(session, gl);
    await session.updateRenderState({ baseLayer: this.#layer });
    this.#space = await session
      .requestReferenceSpace("local-floor")
      .catch(() => session.requestReferenceSpace("local"));
    this.#scene = new Scene(gl, this.#panel);
    this.#facing = null;
    this.#pressed.clear();
    this.#session = session;
    const phone = session.domOverlayState?.type === "screen";
    session.addEventListener("end", () => {
      this.#session = null;
      this.changed(null);
    });
    if (!phone) session.addEventListener("select", (event) => this.#select(event));
    this.changed(phone ? "phone" : "headset");
    const clear = mode === "immersive-ar";
    const frame = (_, xrFrame) => {
      if (this.#session !== session) return;
      session.requestAnimationFrame(frame);
      this.#frame(xrFrame, phone, clear);
    };
    session.requestAnimationFrame(frame);
  }

  leave() {
    return this.#session?.end();
  }

  centre() {
    this.#facing = null;
  }

  status(status) {
    this.#moves = Object.fromEntries(
      Object.entries(status.held).map(([side, held]) => [side, held === null]),
    );
    this.#phase = status.collection?.phase ?? "none";
    if (this.running) this.#panel.show(status, this.#link.latency, this.#settings.scale);
  }

  picture(camera, bitmap) {
    if (this.running) this.#scene.picture(camera, bitmap);
  }

  cameras() {
    if (this.running) this.#scene.forgetPictures();
  }

  // Let the controllers, or the phone, be felt.
  tick(times) {
    for (let tick = 0; tick < times; tick++)
      setTimeout(() => {
        for (const source of this.#session?.inputSources ?? [])
          source.gamepad?.hapticActuators?.[0]?.pulse?.(0.8, 70);
      }, 150 * tick);
  }

  #frame(frame, phone, clear) {
    const viewer = frame.getViewerPose(this.#space);
    if (this.#facing === null && viewer) {
      this.#facing = facingOf(frame, this.#space);
      this.#scene.centre(viewer.transform.position, this.#facing);
    }
    const hands = { left: null, right: null };
    const drawn = [];
    let pointed = null;
    if (phone) hands[this.#settings.side] = phoneOf(frame, this.#space, this.#touch.pressed());
    else
      for (const source of this.#session.inputSources) {
        const side = source.handedness;
        if (!(side in hands)) continue;
        hands[side] = handOf(frame, source, this.#space);
        this.#buttons(source, side);
        const ray = frame.getPose(source.targetRaySpace, this.#space)?.transform.matrix;
        const grip = source.gripSpace && frame.getPose(source.gripSpace, this.#space);
        drawn.push({ grip: grip?.transform.matrix, ray, moves: this.#moves[side] });
        pointed ??= this.#pointed(ray);
      }
    const time = performance.now();
    const turn = this.#settings.turn(this.#facing ?? 0);
    this.#link.sendPose({ type: "hands", time, turn, scale: this.#settings.scale, ...hands });
    this.#panel.point(pointed);
    if (viewer && !phone) this.#scene.draw(this.#layer, viewer, drawn, clear);
  }

  #pointed(ray) {
    const place = ray && this.#scene.meets(ray);
    return place ? this.#panel.at(...place) : null;
  }

  // The trigger is the gripper's while the hand squeezes, and otherwise presses what it points at.
  #select({ frame, inputSource }) {
    if ((inputSource.gamepad?.buttons[SQUEEZE]?.value ?? 0) > HALF) return;
    const ray = frame.getPose(inputSource.targetRaySpace, this.#space)?.transform.matrix;
    const request = this.#pointed(ray);
    if (request) this.#link.ask(request);
  }

  // Buttons act when they are let go of, so that two together can mean something else.
  #buttons({ gamepad }, side) {
    if (!gamepad) return;
    const before = this.#pressed.get(side) ?? {};
    const down = (index) => gamepad.buttons[index]?.pressed ?? false;
    const stick = gamepad.axes[STICK_UP] ?? 0;
    const now = { near: down(NEAR), far: down(FAR), stick: down(STICK), tilted: Math.abs(stick) > HALF };
    now.both = (now.near && now.far) || ((before.both ?? false) && (now.near || now.far));
    if (now.both && !before.both) this.#link.ask("stop");
    const released = (name) => before[name] && !now[name] && !before.both;
    if (released("near")) this.#link.ask(this.#nearRequest(side));
    if (released("far")) this.#link.ask(side === "right" ? "discard" : "redo");
    if (before.stick && !now.stick) this.centre();
    if (now.tilted && !before.tilted)
      this.#settings.set({ scale: this.#settings.scale - Math.sign(stick) * SCALE_STEP });
    this.#pressed.set(side, now);
  }

  #nearRequest(side) {
    if (side === "left") return "failure";
    return this.#phase === "ready" ? "start" : "keep";
  }
}

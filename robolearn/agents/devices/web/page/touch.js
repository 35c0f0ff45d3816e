// A hand that is dragged on a touch screen, or by a mouse: every browser has this.

const METRES = 0.0006; // a pixel
const RADIANS = 0.006; // a pixel
const GRIPPER_SQUEEZE = 300; // ms, for which the gripper's button squeezes, so that it is heard

export class TouchHand {
  #position = [0, 0, 0];
  #yaw = 0;
  #fingers = 0;
  #squeezedUntil = 0;
  closed = false;

  constructor({ plane, lift, turn, gripper, hold }) {
    this.#drag(plane, (right, down) => {
      this.#position[0] += right * METRES;
      this.#position[2] += down * METRES;
    });
    this.#drag(lift, (_, down) => (this.#position[1] -= down * METRES));
    this.#drag(turn, (right) => (this.#yaw -= right * RADIANS));
    this.#drag(hold, () => {});
    gripper.addEventListener("click", () => {
      this.closed = !this.closed;
      this.#squeezedUntil = performance.now() + GRIPPER_SQUEEZE;
      gripper.setAttribute("aria-pressed", this.closed);
      gripper.textContent = this.closed ? "Open gripper" : "Close gripper";
    });
  }

  // How far the clutch and the gripper are pressed.
  pressed() {
    const squeezing = this.#fingers > 0 || performance.now() < this.#squeezedUntil;
    return { squeeze: squeezing ? 1 : 0, trigger: this.closed ? 1 : 0 };
  }

  hand() {
    const half = this.#yaw / 2;
    return {
      position: [...this.#position],
      rotation: [0, Math.sin(half), 0, Math.cos(half)],
      ...this.pressed(),
    };
  }

  #drag(element, move) {
    let finger = null;
    element.addEventListener("pointerdown", (event) => {
      if (finger !== null) return;
      finger = { id: event.pointerId, x: event.clientX, y: event.clientY };
      element.setPointerCapture(event.pointerId);
      element.classList.add("held");
      this.#fingers += 1;
    });
    element.addEventListener("pointermove", (event) => {
      if (finger?.id !== event.pointerId) return;
      move(event.clientX - finger.x, event.clientY - finger.y);
      finger.x = event.clientX;
      finger.y = event.clientY;
    });
    const end = (event) => {
      if (finger?.id !== event.pointerId) return;
      finger = null;
      element.classList.remove("held");
      this.#fingers -= 1;
    };
    element.addEventListener("pointerup", end);
    element.addEventListener("pointercancel", end);
    element.addEventListener("contextmenu", (event) => event.preventDefault());
  }
}

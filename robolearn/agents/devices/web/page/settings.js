// How far and which way the arm moves for the person's hand; remembered by the browser.

const KEY = "robolearn";
const ANGLES = { behind: 0, front: Math.PI, left: -Math.PI / 2, right: Math.PI / 2 };
const SMALLEST = 0.25;
const LARGEST = 2;

export class Settings extends EventTarget {
  constructor() {
    super();
    this.scale = 1;
    this.direction = "picture";
    this.side = "right";
    this.cameraYaw = null; // of the first camera, where that is known
    try {
      Object.assign(this, JSON.parse(localStorage.getItem(KEY)));
    } catch {
      localStorage.removeItem(KEY);
    }
    this.scale = Math.min(LARGEST, Math.max(SMALLEST, Number(this.scale) || 1));
  }

  set(values) {
    Object.assign(this, values);
    this.scale = Math.min(LARGEST, Math.max(SMALLEST, this.scale));
    const { scale, direction, side } = this;
    localStorage.setItem(KEY, JSON.stringify({ scale, direction, side }));
    this.dispatchEvent(new Event("change"));
  }

  // Radians about the vertical from the person's directions to the robot's. `facing` is where the
  // person looks, about the vertical, in the page's own directions.
  turn(facing) {
    const looking = ANGLES[this.direction] ?? this.cameraYaw ?? ANGLES.behind;
    return looking - facing;
  }
}

// The person's hands in a WebXR frame: controllers, or bare hands.

const TRIGGER = 0;
const SQUEEZE = 1;
const PINCHED = [0.015, 0.04]; // m from thumb to forefinger: closed, and not begun
const FIST = [0.055, 0.09]; // m from the middle finger's tip to the wrist's side of the palm

const numbers = ({ x, y, z }) => [x, y, z];
const rotation = ({ x, y, z, w }) => [x, y, z, w];

// One hand as the server wants it; null where it is not seen, or only guessed.
export function handOf(frame, source, space) {
  if (source.hand) return bareHand(frame, source.hand, space);
  if (!source.gripSpace) return null;
  const pose = frame.getPose(source.gripSpace, space);
  if (!pose || pose.emulatedPosition) return null;
  return {
    position: numbers(pose.transform.position),
    rotation: rotation(pose.transform.orientation),
    squeeze: source.gamepad?.buttons[SQUEEZE]?.value ?? 0,
    trigger: source.gamepad?.buttons[TRIGGER]?.value ?? 0,
  };
}

// The phone itself is the hand.
export function phoneOf(frame, space, pressed) {
  const pose = frame.getViewerPose(space);
  if (!pose || pose.emulatedPosition) return null;
  return {
    position: numbers(pose.transform.position),
    rotation: rotation(pose.transform.orientation),
    ...pressed,
  };
}

// Where the person looks, about the vertical; null where that cannot be told.
export function facingOf(frame, space) {
  const pose = frame.getViewerPose(space);
  if (!pose) return null;
  const { x, y, z, w } = pose.transform.orientation;
  // The vector (0, 0, -1) turned by the head.
  const right = -2 * (x * z + w * y);
  const back = -(1 - 2 * (x * x + y * y));
  return Math.atan2(-right, -back);
}

// A fist of the middle finger squeezes; thumb and forefinger close the gripper.
function bareHand(frame, hand, space) {
  const joint = (name) => frame.getJointPose?.(hand.get(name), space)?.transform;
  const [wrist, knuckle, middle, thumb, finger] = [
    "wrist",
    "middle-finger-metacarpal",
    "middle-finger-tip",
    "thumb-tip",
    "index-finger-tip",
  ].map(joint);
  if (!wrist || !knuckle || !middle || !thumb || !finger) return null;
  return {
    position: numbers(wrist.position),
    rotation: rotation(wrist.orientation),
    squeeze: nearness(middle.position, knuckle.position, FIST),
    trigger: nearness(thumb.position, finger.position, PINCHED),
  };
}

function nearness(one, other, [near, far]) {
  const distance = Math.hypot(one.x - other.x, one.y - other.y, one.z - other.z);
  return Math.min(1, Math.max(0, (far - distance) / (far - near)));
}

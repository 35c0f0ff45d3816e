// What a person can ask for, and when.

const LABELS = {
  start: "Start",
  keep: "Keep",
  failure: "Keep as failed",
  discard: "Discard",
  redo: "Redo",
  stop: "STOP",
};

const ENDING = ["keep", "failure", "discard", "redo"];
const OFFERED = {
  resetting: ["start"],
  ready: ["start", "discard"],
  recording: ENDING,
  judging: ENDING,
  deploying: ["start", "keep", "failure"],
};

// What a button says where that is not what it says elsewhere.
const IN_PHASE = {
  resetting: { start: "All is put back" },
  ready: { discard: "Another scene" }, // there is nothing to discard but where things stand
  deploying: { start: "End the episode", keep: "Succeeded", failure: "Failed" },
};

export const labelOf = (request, phase) => IN_PHASE[phase]?.[request] ?? LABELS[request];

// Buttons for a phase of the collection, but for the one that stops, which is always there.
export const offered = (phase) => OFFERED[phase] ?? [];

export const PHASES = {
  none: "waiting",
  resetting: "put everything back",
  ready: "ready",
  recording: "recording",
  judging: "how was it?",
  deploying: "the policy drives",
  ended: "ended",
};

// Whether an episode is going on.
export const going = (phase) => phase === "recording" || phase === "deploying";

export const HELD = {
  clutch: "squeeze to move",
  reset: "squeeze to move",
  tracking: "the hand is not seen: let go, then squeeze again",
  jump: "the hand jumped: let go, then squeeze again",
  stale: "poses came too late: let go, then squeeze again",
  lost: "no hand is seen yet",
};

// One line of why nothing moves: that of a hand that does move is null.
export function heldLine(held) {
  const reasons = Object.values(held);
  if (reasons.includes(null)) return "";
  const worst = ["jump", "stale", "tracking", "clutch", "reset", "lost"].find((each) =>
    reasons.includes(each),
  );
  return HELD[worst] ?? "";
}

export const countLine = ({ phase, kept, wanted }) =>
  phase === "deploying"
    ? `episode ${Math.min(kept + 1, wanted)} of ${wanted}`
    : `${kept} of ${wanted} kept`;

export const clockLine = (collection) => `${collection.seconds.toFixed(1)} s`;

export function loopLine(collection) {
  const missed = collection.missed ? `, ${collection.missed} late` : "";
  const dropped = collection.dropped ? `, ${collection.dropped} dropped` : "";
  return `loop ${collection.rate.toFixed(0)} Hz${missed}${dropped}`;
}

// The page: what a person sees and presses, at a desk, on a phone, and before entering VR.

import { Headset } from "./headset.js";
import { Link } from "./link.js";
import { PHASES, clockLine, countLine, going, heldLine, labelOf, loopLine, offered } from "./requests.js";
import { Settings } from "./settings.js";
import { TouchHand } from "./touch.js";

const $ = (id) => document.getElementById(id);
const LINKS = { opening: "connecting", open: "connected", lost: "lost", refused: "not connected" };

const settings = new Settings();
const link = new Link();
const touch = new TouchHand({
  plane: $("plane"),
  lift: $("lift"),
  turn: $("turn"),
  gripper: $("gripper"),
  hold: $("hold"),
});
const headset = new Headset(link, settings, touch, (kind) => {
  document.body.dataset.xr = kind ?? "";
  $("hold").hidden = kind !== "phone";
  if (kind === null) requestAnimationFrame(sendTouch);
});

let phase = "none";
let sound = null;
let canvases = [];
let arms = 0; // that this browser moves; none where it has the buttons alone

function sendTouch() {
  if (headset.running) return;
  requestAnimationFrame(sendTouch);
  if (arms === 0) return;
  const hands = { left: null, right: null, [settings.side]: touch.hand() };
  const time = performance.now();
  link.sendPose({ type: "hands", time, turn: settings.turn(0), scale: settings.scale, ...hands });
}

link.addEventListener("state", ({ detail: { state, text } }) => {
  $("link").dataset.state = state;
  $("link").querySelector("b").textContent = LINKS[state];
  $("message").hidden = text === "";
  $("message").querySelector("span").textContent = text;
  $("again").hidden = state !== "refused";
  if (state !== "open") $("latency").textContent = $("poses").textContent = "–";
});

link.addEventListener("status", ({ detail: status }) => {
  const { collection } = status;
  arms = status.arms;
  document.body.dataset.arms = arms;
  $("poses").textContent = arms ? `${status.poses.toFixed(0)} poses/s` : "";
  if (link.latency !== null) $("latency").textContent = `${link.latency.toFixed(0)} ms`;
  $("held").textContent = document.body.dataset.xr ? heldLine(status.held) : "";
  $("sides").hidden = status.arms < 2;
  headset.status(status);
  const before = phase;
  phase = collection?.phase ?? "none";
  document.body.dataset.phase = phase;
  $("phase").textContent = PHASES[phase];
  $("count").textContent = collection ? countLine(collection) : "";
  $("timer").textContent = going(phase) ? clockLine(collection) : "";
  $("loop").textContent = collection ? loopLine(collection) : "";
  $("notice").textContent = collection?.notice ?? "";
  if (phase !== before) changed(before);
});

// An episode's begin is felt and heard once, its end twice.
function changed(before) {
  $("requests").replaceChildren(...offered(phase).map(requestButton));
  const times = going(phase) ? 1 : going(before) ? 2 : 0;
  headset.tick(times);
  if (times) navigator.vibrate?.(times === 1 ? 80 : [60, 90, 60]);
  for (let each = 0; each < times; each++) beep(each * 0.15, going(phase) ? 880 : 587);
}

function requestButton(request) {
  const button = document.createElement("button");
  button.textContent = labelOf(request, phase);
  button.className = request;
  button.addEventListener("click", () => link.ask(request));
  return button;
}

// Browsers let a page sound after the person has touched it.
function beep(after, pitch) {
  if (!sound) return;
  const [tone, volume] = [sound.createOscillator(), sound.createGain()];
  volume.gain.value = 0.08;
  tone.frequency.value = pitch;
  tone.connect(volume).connect(sound.destination);
  tone.start(sound.currentTime + after);
  tone.stop(sound.currentTime + after + 0.09);
}
addEventListener("pointerdown", () => (sound ??= new AudioContext()), { once: true });

link.addEventListener("cameras", ({ detail: { names, yaws } }) => {
  settings.set({ cameraYaw: yaws[0] ?? null });
  headset.cameras();
  canvases = names.map((name) => {
    const canvas = document.createElement("canvas");
    canvas.title = name;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `camera ${name}`);
    return canvas;
  });
  const further = document.createElement("div");
  further.id = "further";
  further.append(...canvases.slice(1));
  $("pictures").replaceChildren(...canvases.slice(0, 1), further);
});

link.addEventListener("image", ({ detail: { camera, picture } }) => {
  if (document.body.dataset.xr === "headset") {
    headset.picture(camera, picture); // nobody sees the page behind it
    picture.close();
    return;
  }
  const canvas = canvases[camera];
  if (!canvas) return;
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  canvas.getContext("2d").drawImage(picture, 0, 0);
  picture.close();
});

$("stop").addEventListener("click", () => link.ask("stop"));
$("again").addEventListener("click", () => link.open());

function showSettings() {
  $("scale").value = settings.scale;
  $("scale-now").textContent = `${settings.scale} ×`;
  $("direction").value = settings.direction;
  $("direction").querySelector("[value=picture]").disabled = settings.cameraYaw === null;
  if (settings.direction === "picture" && settings.cameraYaw === null)
    $("direction").value = "behind";
  $("side").value = settings.side;
}
settings.addEventListener("change", showSettings);
$("scale").addEventListener("input", () => settings.set({ scale: Number($("scale").value) }));
for (const name of ["direction", "side"])
  $(name).addEventListener("change", () => settings.set({ [name]: $(name).value }));
showSettings();

// What this browser can do, and what to do where it cannot.
async function offerXR() {
  const can = async (mode) => (await navigator.xr?.isSessionSupported(mode).catch(() => false)) ?? false;
  const [vr, ar] = [await can("immersive-vr"), await can("immersive-ar")];
  $("vr").hidden = !vr;
  $("ar").hidden = !ar;
  $("ar").textContent = vr ? "Enter VR, with the room around" : "Move it by moving the phone";
  $("no-xr").hidden = vr || ar;
  $("no-xr").textContent = window.isSecureContext
    ? "This browser has no WebXR (an iPhone's has none): drag below."
    : "WebXR needs an address that begins with https: drag below.";
}
for (const [id, mode] of [
  ["vr", "immersive-vr"],
  ["ar", "immersive-ar"],
])
  $(id).addEventListener("click", async () => {
    try {
      await headset.enter(mode);
    } catch (error) {
      $("no-xr").hidden = false;
      $("no-xr").textContent = `The browser refuses: ${error.message}`;
    }
  });
navigator.xr?.addEventListener("devicechange", offerXR);
document.body.addEventListener("beforexrselect", (event) => event.preventDefault());

offerXR();
link.open();
requestAnimationFrame(sendTouch);

// The connection to robolearn: pairs this browser, sends poses, and tells how things are.

const PING_EVERY = 500; // ms
const MOST_WAITING = 4096; // bytes; beyond them a pose would come too late anyway
const RETRY = [300, 600, 1000, 2000]; // ms
const FOR_GOOD = {
  4001: "This page is open in another tab, which drives now.",
  1001: "robolearn has ended.",
  1009: "A message was too long.",
};

export class Link extends EventTarget {
  #socket = null;
  #tries = 0;
  #cameras = [];
  latency = null; // ms, there and back

  // Its events: "state" (opening, open, lost, refused; with a text), "status", "cameras", "image".
  async open() {
    this.#state("opening");
    const token = location.hash.slice(1);
    let answer;
    try {
      answer = await fetch("/pair", { method: "POST", body: JSON.stringify({ token }) });
      const said = await answer.json();
      if (!answer.ok) return this.#state("refused", said.error);
    } catch {
      return this.#retry();
    }
    history.replaceState(null, "", location.pathname);
    this.#connect();
  }

  // A pose that cannot leave at once is not sent: the next one is newer.
  sendPose(hands) {
    if (this.isOpen && this.#socket.bufferedAmount < MOST_WAITING) this.#send(hands);
  }

  ask(request) {
    if (this.isOpen) this.#send({ type: "request", request });
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  #connect() {
    const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/link`;
    const socket = (this.#socket = new WebSocket(url));
    socket.binaryType = "arraybuffer";
    let pinging;
    socket.onopen = () => {
      this.#tries = 0;
      this.#state("open");
      const ping = () => this.#send({ type: "ping", time: performance.now() });
      ping();
      pinging = setInterval(ping, PING_EVERY);
    };
    socket.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) this.#image(data);
      else this.#told(JSON.parse(data));
    };
    socket.onclose = ({ code, reason }) => {
      clearInterval(pinging);
      this.latency = null;
      if (code in FOR_GOOD) this.#state("refused", FOR_GOOD[code]);
      else if (reason) this.#state("refused", `robolearn closed the connection: ${reason}`);
      else this.#retry();
    };
  }

  #retry() {
    this.#state("lost", "The connection is lost: the arm holds still. Trying again …");
    setTimeout(() => this.open(), RETRY[Math.min(this.#tries++, RETRY.length - 1)]);
  }

  #told(message) {
    if (message.type === "pong") this.latency = performance.now() - message.time;
    else if (message.type === "cameras") {
      this.#cameras = message.names;
      this.#tell("cameras", message);
    } else this.#tell("status", message);
  }

  async #image(data) {
    const view = new DataView(data);
    const number = view.getUint32(0, true);
    const camera = view.getUint32(4, true);
    try {
      const picture = await createImageBitmap(new Blob([data.slice(8)], { type: "image/jpeg" }));
      this.#tell("image", { camera, picture });
    } catch {
      // One that cannot be shown is left out: the next may come all the same.
    }
    if (camera === this.#cameras.length - 1 && this.isOpen)
      this.#send({ type: "seen", image: number });
  }

  #send(message) {
    this.#socket.send(JSON.stringify(message));
  }

  #state(state, text = "") {
    this.#tell("state", { state, text });
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

// A short tone every three seconds while a P1 alarm waits for somebody. Off until it is switched on.
import { memory } from "./dom.js";
import { state } from "./store.js";

let audio = null;

export const soundOn = () => memory.get("sound") === "on";

/** Switch the tone; browsers allow sound only after such a click. */
export function toggleSound() {
  const on = !soundOn();
  memory.set("sound", on ? "on" : null);
  if (on) tone();
}

function tone() {
  audio ??= new AudioContext();
  for (const [start, frequency] of [[0, 880], [0.22, 660]]) {
    const voice = audio.createOscillator();
    const volume = audio.createGain();
    voice.frequency.value = frequency;
    volume.gain.setValueAtTime(0.0001, audio.currentTime + start);
    volume.gain.exponentialRampToValueAtTime(0.25, audio.currentTime + start + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, audio.currentTime + start + 0.2);
    voice.connect(volume).connect(audio.destination);
    voice.start(audio.currentTime + start);
    voice.stop(audio.currentTime + start + 0.21);
  }
}

export function watchSound() {
  setInterval(() => {
    if (soundOn() && state.alarms.some((a) => a.priority === "P1" && (a.state === "UNACK" || a.state === "LUNACK"))) tone();
  }, 3000);
}

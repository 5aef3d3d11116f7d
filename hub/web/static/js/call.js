// A call from the browser: ConversationRelay over a socket of the voice service, then what became of the call.
// A module, so that its names are its own; those of call_sound.js are Mouth and Ears.

const page = document.getElementById("call-page");
const at = (id) => document.getElementById(id);
const isPrivate = "phi" in page.dataset;
const CONNECT_MS = 8000;
const LATE_MS = 60000;
const GIVE_UP_MS = 600000;
// Why the voice service closes a socket before a call.
const TROUBLES = { 4400: "pass", 4401: "pass", 4403: "origin", 4404: "number", 4408: "pass", 4409: "pass", 4429: "busy", 4503: "away" };
const call = { state: "ready", id: "", socket: null, mouth: null, ears: null, language: "en-US", answer: null, isOpen: false, holdsFloor: false, isTyping: false, hasHungUp: false, beganAt: 0 };

function show(state) {
  call.state = state;
  for (const part of page.querySelectorAll("[data-when]")) part.hidden = !part.dataset.when.split(" ").includes(state);
}
function tell(words) { at("call-status").textContent = words; }
function trouble(name) {
  for (const one of page.querySelectorAll("[data-trouble]")) one.hidden = one.dataset.trouble !== name;
}

// What is said, by speaker. Words of one answer stand together until the caller speaks.
function line(who, name) {
  const made = document.createElement("li");
  made.className = who;
  const speaker = document.createElement("span");
  speaker.className = "who";
  speaker.textContent = name;
  const words = document.createElement("p");
  words.dir = "auto";
  made.append(speaker, words);
  at("talk").append(made);
  return words;
}
function note(words) {
  const made = document.createElement("li");
  made.className = "note";
  made.textContent = words;
  at("talk").append(made);
  toEnd();
}
function toEnd() { at("said").scrollTop = at("said").scrollHeight; }
function callerSaid(words) {
  call.answer = null;
  line("caller", "You").textContent = words;
  toEnd();
}
function agentSaid(message) {
  if (!call.answer) {
    if (!message.token.trim()) return;
    call.answer = { words: line("agent", "Agent"), text: "", unspoken: "" };
    if (call.mouth) call.mouth.begin();
  }
  call.answer.text += message.token;
  call.answer.unspoken += message.token;
  call.answer.words.textContent = call.answer.text.trim();
  // A reader gets whole sentences, not pieces of them.
  at("said").setAttribute("aria-busy", String(!message.last));
  toEnd();
}

function send(type, parts) {
  if (call.isOpen) call.socket.send(JSON.stringify({ type, ...parts }));
}
function speaking(who, isOn) { send("info", { name: who, value: isOn ? "start" : "stop" }); }

// Somebody who types is not asked whether they are still there: the floor is theirs once the agent has spoken.
function giveFloor() {
  speaking("agentSpeaking", false);
  if (!call.ears || !call.ears.isOn || call.isTyping) holdFloor();
}
function holdFloor() {
  if (call.holdsFloor) return;
  call.holdsFloor = true;
  speaking("clientSpeaking", true);
}
function takeFloor() {
  if (!call.holdsFloor) return;
  call.holdsFloor = false;
  speaking("clientSpeaking", false);
}
function heardFromAgent(message) {
  takeFloor();
  agentSaid(message);
  if (!call.mouth || !call.mouth.isOn) {
    if (message.last) {
      speaking("agentSpeaking", true);
      giveFloor();
    }
    return;
  }
  const rest = call.answer ? call.answer.unspoken : "";
  const end = message.last ? rest.length : Math.max(rest.lastIndexOf(". "), rest.lastIndexOf("? "), rest.lastIndexOf("! ")) + 2;
  if (end < 2 || !rest.slice(0, end).trim()) return;
  call.answer.unspoken = rest.slice(end);
  call.mouth.say(rest.slice(0, end), message.lang || call.language, message.interruptible !== false);
}
// The caller begins while the agent speaks: it falls silent, and is told how far it was heard.
function cutIn() {
  if (!call.mouth || !call.mouth.isSpeaking || !call.mouth.mayBeInterrupted) return;
  const heard = call.mouth.stop();
  if (call.answer) {
    const whole = call.answer.text;
    const place = Math.min(heard.length, whole.length);
    const lost = document.createElement("del");
    lost.textContent = whole.slice(place).trim();
    call.answer.words.replaceChildren(whole.slice(0, place).trimStart(), ...(lost.textContent ? [lost] : []));
    call.answer = null;
  }
  send("interrupt", { utteranceUntilInterrupt: heard.trim(), durationUntilInterruptMs: Math.round(heard.length / 0.014) });
  holdFloor();
}
function say(words) {
  cutIn();
  callerSaid(words);
  call.holdsFloor = false;
  send("prompt", { voicePrompt: words, lang: call.language, last: true });
}

// What is understood so far.
const EMPTY = Object.fromEntries([...page.querySelectorAll("[data-slot]")].map((one) => [one.dataset.slot, one.textContent]));
function understood(message) {
  for (const place of page.querySelectorAll("[data-slot]")) {
    const value = (message.slots || {})[place.dataset.slot];
    place.textContent = value ? written(place.dataset.slot, value, message) : EMPTY[place.dataset.slot];
    place.classList.toggle("soft", !value);
  }
  at("emergency").hidden = !message.emergency;
}
function written(slot, value, message) {
  if (slot === "number") return `${value}${message.is_number_confirmed ? "" : " (not confirmed yet)"}`;
  if (slot === "urgency") return value.slice(0, 1).toUpperCase() + value.slice(1);
  if (slot === "sms_consent") return value === "yes" ? "Welcome" : "Not wanted";
  const moment = slot === "when" && /^\d{4}-\d\d-\d\dT/.test(value) ? new Date(value) : null;
  if (!moment || Number.isNaN(moment.getTime())) return value;
  return moment.toLocaleString("en", { dateStyle: "medium", timeStyle: "short", timeZone: page.dataset.timezone });
}

const TAKES = {
  text: heardFromAgent,
  captured: understood,
  language(message) {
    call.language = message.ttsLanguage || call.language;
    if (call.ears) call.ears.speakIn(message.transcriptionLanguage || call.language);
  },
  unanswered() { note("A caller would be put through to a person now. From a browser nobody is rung, so it goes on as when nobody answers."); },
  end(message) {
    const next = /"next":\s*"(\w+)"/.exec(message.handoffData || "");
    if (next && next[1] === "message") note("A caller would leave a message after the tone now.");
  },
};

async function begin(event) {
  event.preventDefault();
  trouble("");
  at("caller-problem").textContent = "";
  at("caller").removeAttribute("aria-invalid");
  show("connecting");
  tell("Connecting.");
  let answer = null;
  try {
    answer = await fetch(page.dataset.pass, { method: "POST", body: new FormData(at("call-form")), redirect: "manual" });
    if (answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 403) return refuse("signed_out");
    const given = await answer.json();
    if (answer.status === 422) return wrongCaller(given.problem);
    if (!answer.ok) return refuse("failed");
    connect(given);
  } catch {
    refuse("failed");
  }
}
function refuse(name) {
  trouble(name);
  tell("");
  show("ready");
}
function wrongCaller(problem) {
  show("ready");
  tell("");
  at("caller-problem").textContent = problem;
  at("caller").setAttribute("aria-invalid", "true");
  at("caller").focus();
}
function connect(given) {
  call.id = given.call;
  call.isOpen = false;
  const socket = call.socket = new WebSocket(given.socket);
  const late = window.setTimeout(() => { if (!call.isOpen) socket.close(); }, CONNECT_MS);
  socket.addEventListener("open", () => {
    socket.send(JSON.stringify({ type: "setup", sessionId: given.call, callSid: given.call, direction: "inbound", customParameters: { pass: given.pass } }));
  });
  socket.addEventListener("message", (event) => {
    if (socket !== call.socket) return;
    window.clearTimeout(late);
    if (!call.isOpen) opened();
    const message = JSON.parse(event.data);
    if (TAKES[message.type]) TAKES[message.type](message);
  });
  socket.addEventListener("close", (event) => {
    window.clearTimeout(late);
    if (socket === call.socket) closed(event.code);
  });
}
function opened() {
  call.isOpen = true;
  call.beganAt = Date.now();
  call.mouth = new Mouth({ isOn: at("aloud").checked, localOnly: isPrivate, begins: () => speaking("agentSpeaking", true), ends: giveFloor });
  show("talking");
  tell("The agent has answered.");
  if (Ears.areThere && !isPrivate && at("listens").checked) listen();
  at("says").focus();
}
function listen() {
  call.ears = new Ears({
    language: call.language,
    begins(words) {
      cutIn();
      holdFloor();
      at("hearing").textContent = words;
    },
    hears(words) {
      at("hearing").textContent = at("hearing").dataset.words;
      say(words);
    },
    refused() {
      at("mute").hidden = at("hearing").hidden = true;
      note("The microphone may not be used here. Type instead.");
      giveFloor();
    },
  });
  at("hearing").textContent = at("hearing").dataset.words;
  at("mute").hidden = at("hearing").hidden = false;
  call.ears.start();
}
function closed(code) {
  const wasOpen = call.isOpen;
  call.isOpen = false;
  call.socket = null;
  if (call.mouth) call.mouth.stop();
  if (call.ears) call.ears.stop();
  at("mute").hidden = at("hearing").hidden = true;
  if (!wasOpen) return refuse(TROUBLES[code] || "unreachable");
  at("said").setAttribute("aria-busy", "false");
  if (code === 1000 || call.hasHungUp) {
    show("over");
    tell("The call is over. The voicemail is on its way.");
  } else {
    trouble("broken");
    show("broken");
    tell("");
  }
  at("result").focus();
  look(call.id, Date.now(), "");
}

// What became of it: asked until the event is here and all of its records have come to rest.
async function look(id, since, told) {
  if (id !== call.id || (call.state !== "over" && call.state !== "broken")) return;
  const passed = Date.now() - since;
  let isDone = false;
  try {
    const answer = await fetch(page.dataset.result.replace("CALL", id), { redirect: "manual" });
    if (answer.ok) {
      const found = new DOMParser().parseFromString(await answer.text(), "text/html").body.firstElementChild;
      isDone = !("moving" in found.dataset);
      // What has not changed stays, so that nobody loses their place in it.
      if (found.dataset.status !== told) {
        told = found.dataset.status;
        at("call-result").replaceChildren(found);
        tell(told);
      }
    } else if (answer.status !== 404) isDone = answer.status < 500;
    else if (passed > LATE_MS && !told) {
      const waiting = at("call-result").querySelector("[data-late]");
      if (waiting) waiting.textContent = told = waiting.dataset.late;
    }
  } catch {
    // The hub is asked again.
  }
  if (!isDone && passed < GIVE_UP_MS) window.setTimeout(() => look(id, since, told), passed < 30000 ? 1000 : 4000);
}

function again() {
  call.id = "";
  call.answer = null;
  call.ears = null;
  call.holdsFloor = call.isTyping = call.hasHungUp = false;
  call.language = "en-US";
  at("talk").replaceChildren();
  at("says").value = "";
  at("call-result").replaceChildren(WAITING.cloneNode(true));
  understood({ slots: {} });
  trouble("");
  tell("");
  show("ready");
  at("dialled").focus();
}
const WAITING = at("call-result").firstElementChild.cloneNode(true);

at("call-form").addEventListener("submit", begin);
at("again").addEventListener("click", again);
at("hang-up").addEventListener("click", () => {
  call.hasHungUp = true;
  if (call.socket) call.socket.close(1000);
});
at("say-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const words = at("says").value.trim();
  if (!words || !call.isOpen) return;
  at("says").value = "";
  call.isTyping = false;
  say(words);
});
// Whoever begins to type cuts in, as whoever begins to speak.
at("says").addEventListener("input", () => {
  call.isTyping = at("says").value !== "";
  if (!call.isTyping) return;
  cutIn();
  if (!call.mouth.isSpeaking) holdFloor();
});
at("mute").addEventListener("click", () => {
  const isMuted = at("mute").getAttribute("aria-pressed") !== "true";
  at("mute").setAttribute("aria-pressed", String(isMuted));
  at("hearing").hidden = isMuted;
  if (!isMuted) call.ears.start();
  else {
    call.ears.stop();
    if (!call.mouth.isSpeaking) holdFloor();
  }
});
page.addEventListener("click", (event) => {
  const key = event.target.dataset.key;
  if (!key || !call.isOpen) return;
  cutIn();
  if (!call.answer && at("talk").lastElementChild && at("talk").lastElementChild.dataset.keys) at("talk").lastElementChild.lastElementChild.textContent += ` ${key}`;
  else {
    callerSaid(`Pressed ${key}`);
    at("talk").lastElementChild.dataset.keys = "";
  }
  takeFloor();
  send("dtmf", { digit: key });
});
window.setInterval(() => {
  if (call.state !== "talking") return;
  const passed = Math.floor((Date.now() - call.beganAt) / 1000);
  at("call-clock").textContent = `${Math.floor(passed / 60)}:${String(passed % 60).padStart(2, "0")}`;
}, 1000);

// Voices may be listed some time after the page.
function offer() {
  const hasEars = Ears.areThere && !isPrivate;
  page.querySelector('[data-needs="voices"]').hidden = !Mouth.voices(isPrivate).length;
  page.querySelector('[data-needs="ears"]').hidden = !hasEars;
  page.querySelector('[data-needs="typing"]').hidden = hasEars;
}
if (window.speechSynthesis) window.speechSynthesis.addEventListener("voiceschanged", offer);
offer();
show("ready");

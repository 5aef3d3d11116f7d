// The browser's voice and ears for the call page: speaks sentences in turn, and writes down what is said to it.
"use strict";

// A voice tells how far it is, so that an interruption can say what was heard.
class Mouth {
  constructor({ isOn, localOnly, begins, ends }) {
    this.isOn = isOn && Mouth.voices(localOnly).length > 0;
    Object.assign(this, { localOnly, begins, ends, queue: [], heard: "", current: null, at: 0, startedAt: 0 });
  }
  static voices(localOnly) {
    if (!window.speechSynthesis) return [];
    return window.speechSynthesis.getVoices().filter((one) => !localOnly || one.localService);
  }
  get isSpeaking() { return this.current !== null; }
  get mayBeInterrupted() { return !this.current || this.current.isInterruptible; }
  // An answer begins: what was heard of the one before does not count any more.
  begin() { this.heard = ""; }
  say(text, language, isInterruptible) {
    this.queue.push({ text, language, isInterruptible });
    if (!this.current) this.next();
  }
  next() {
    const wasSpeaking = this.current !== null;
    this.current = this.queue.shift() || null;
    if (!this.current) {
      if (wasSpeaking) this.ends();
      return;
    }
    const one = this.current;
    const voice = Mouth.voices(this.localOnly).find((each) => each.lang.split(/[-_]/)[0] === one.language.split("-")[0]);
    const spoken = new SpeechSynthesisUtterance(one.text);
    spoken.lang = one.language;
    if (voice) spoken.voice = voice;
    this.at = 0;
    this.startedAt = 0;
    spoken.onstart = () => { this.startedAt = Date.now(); };
    spoken.onboundary = (event) => { if (this.current === one) this.at = event.charIndex; };
    spoken.onend = () => this.done(one);
    spoken.onerror = () => this.done(one);
    if (!wasSpeaking) this.begins();
    window.speechSynthesis.speak(spoken);
    // Some browsers list voices that never begin: their words are read instead.
    window.setTimeout(() => {
      if (this.current !== one || this.startedAt) return;
      this.isOn = false;
      window.speechSynthesis.cancel();
      this.queue = [];
      this.current = null;
      this.ends();
    }, 4000);
  }
  done(one) {
    if (this.current !== one) return;
    this.heard += one.text;
    this.next();
  }
  // Stop at once; gives the words of this answer that were heard.
  stop() {
    const one = this.current;
    if (!one) return this.heard;
    // Without word by word news, the usual pace of speech tells how far it is.
    const estimate = this.startedAt ? Math.round((Date.now() - this.startedAt) * 0.014) : 0;
    const heard = this.heard + one.text.slice(0, this.at || estimate);
    this.queue = [];
    this.current = null;
    window.speechSynthesis.cancel();
    return heard;
  }
}

const Recognition = window.SpeechRecognition || window.webkitSpeechRecognition;

class Ears {
  constructor({ language, begins, hears, refused }) {
    Object.assign(this, { language, begins, hears, refused, isOn: false, recognition: null });
  }
  static get areThere() { return Boolean(Recognition); }
  start() {
    this.isOn = true;
    const found = new Recognition();
    found.lang = this.language;
    found.continuous = true;
    found.interimResults = true;
    found.onresult = (event) => {
      for (let place = event.resultIndex; place < event.results.length; place += 1) {
        const result = event.results[place];
        const words = result[0].transcript.trim();
        if (words && result.isFinal) this.hears(words);
        else if (words) this.begins(words);
      }
    };
    found.onerror = (event) => {
      if (event.error !== "not-allowed" && event.error !== "service-not-allowed" && event.error !== "audio-capture") return;
      this.stop();
      this.refused();
    };
    // It ends by itself after some silence.
    found.onend = () => { if (this.isOn && this.recognition === found) window.setTimeout(() => { if (this.isOn && this.recognition === found) this.start(); }, 200); };
    this.recognition = found;
    found.start();
  }
  stop() {
    this.isOn = false;
    const found = this.recognition;
    this.recognition = null;
    if (found) found.abort();
  }
  speakIn(language) {
    if (language === this.language) return;
    this.language = language;
    if (!this.isOn) return;
    this.stop();
    this.start();
  }
}

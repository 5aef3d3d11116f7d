// Gives Arabic words among English ones that nothing keeps apart: what follows them would change places.
const found = [];
const ARABIC = /[\u0600-\u06ff]/;
const name = (e) => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + [...e.classList].map((c) => "." + c).join("");
const path = (e) => [e.parentElement.parentElement, e.parentElement, e].filter(Boolean).map(name).join(" > ");
const UNSEEN = "script, option, textarea, pre, .away, .diff, [hidden]";

const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = texts.nextNode(); node; node = texts.nextNode()) {
  const e = node.parentElement;
  if (!ARABIC.test(node.data) || e.closest(UNSEEN)) continue;
  const apart = e.closest("bdi, [dir=auto], [dir=rtl]");
  if (!apart) found.push("in " + path(e) + ": " + node.data.trim().slice(0, 60));
  // A part that begins in English runs from left to right, whatever follows.
  else if (/[A-Za-z]{2}/.test(apart.textContent.split(ARABIC)[0])) {
    found.push("behind English in " + path(apart) + ": " + apart.textContent.trim().slice(0, 60));
  }
}
const fields = "input:not([type=hidden], [type=checkbox], [type=radio]), textarea:not(#text)";
for (const e of document.querySelectorAll(fields)) {
  if (ARABIC.test(e.value) && e.dir !== "auto") found.push("typed in " + path(e));
}
return found;

// Gives what sticks out of its box, or is cut off without a sign, in a window of so many pixels.
// Regions that scroll are left out, and so are words for screen readers only.
const width = arguments[0];
const found = [];
const name = (e) => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + [...e.classList].map((c) => "." + c).join("");
const path = (e) => [e.parentElement.parentElement, e.parentElement, e].filter(Boolean).map(name).join(" > ");
const UNSEEN = ".away, .skip, script, option, svg, textarea, [hidden]";

function scrolls(e) {
  for (; e; e = e.parentElement) {
    if (["auto", "scroll"].includes(getComputedStyle(e).overflowX)) return true;
  }
  return false;
}

function look(node) {
  const range = document.createRange();
  range.selectNodeContents(node);
  const lines = [...range.getClientRects()].filter((line) => line.width > 1);
  for (let box = node.parentElement; box !== document.body; box = box.parentElement) {
    const style = getComputedStyle(box);
    if (["inline", "contents"].includes(style.display)) continue;
    const isCut = style.overflowX !== "visible";
    if (isCut && style.textOverflow === "ellipsis") return;
    const edge = box.getBoundingClientRect();
    if (lines.some((line) => line.left < edge.left - 1.5 || line.right > edge.right + 1.5)) {
      found.push((isCut ? "cut off in " : "out of ") + path(box) + ": " + node.data.trim().slice(0, 30));
      return;
    }
    if (isCut || ["absolute", "fixed"].includes(style.position)) return;
  }
}

if (document.documentElement.scrollWidth > width) found.push("the page is " + document.documentElement.scrollWidth + " px wide");
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = texts.nextNode(); node; node = texts.nextNode()) {
  const e = node.parentElement;
  if (node.data.trim() && !e.closest(UNSEEN) && e.checkVisibility() && !scrolls(e)) look(node);
}
return found;

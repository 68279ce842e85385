// Runs in a page of the book. `look()` gives what view.rs calls Seen, `draw()` what it calls Drawn.

function colour(text) {
  const numbers = text.match(/[\d.]+/g).map(Number);
  // color(srgb r g b / a), which Chromium gives for mixed colours, counts from 0 to 1.
  if (text.startsWith("color(srgb")) numbers.splice(0, 3, ...numbers.slice(0, 3).map((part) => part * 255));
  const [red, green, blue, alpha = 1] = numbers;
  return { red, green, blue, alpha };
}

function over(top, below) {
  const mix = (part) => top[part] * top.alpha + below[part] * (1 - top.alpha);
  return { red: mix("red"), green: mix("green"), blue: mix("blue"), alpha: 1 };
}

function luminance({ red, green, blue }) {
  const linear = (part) => {
    const value = part / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}

function contrast(one, other) {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

function hex({ red, green, blue }) {
  return "#" + [red, green, blue].map((part) => Math.round(part).toString(16).padStart(2, "0")).join("");
}

// What is behind an element, and how much of it shines through.
function behind(element) {
  const layers = [];
  let opacity = 1;
  for (let at = element; at; at = at.parentElement) {
    const style = getComputedStyle(at);
    layers.push(colour(style.backgroundColor));
    opacity *= Number(style.opacity);
  }
  const white = { red: 255, green: 255, blue: 255, alpha: 1 };
  return { background: layers.reverse().reduce((below, top) => over(top, below), white), opacity };
}

function describe(element) {
  const names = element.className && element.className.baseVal === undefined ? "." + [...element.classList].join(".") : "";
  const text = element.textContent.trim().replace(/\s+/g, " ").slice(0, 40);
  return `<${element.tagName.toLowerCase()}${names}> ${JSON.stringify(text)}`;
}

function isShown(element) {
  return element.checkVisibility({ checkVisibilityCSS: true, checkOpacity: true }) && element.getClientRects().length > 0;
}

function texts() {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const elements = new Set();
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    const isText = node.data.trim() !== "" && !["SCRIPT", "STYLE", "NOSCRIPT"].includes(element.tagName);
    if (isText && isShown(element)) elements.add(element);
  }
  return [...elements];
}

function judge(element, style, seen) {
  const { background, opacity } = behind(element);
  const ink = colour(style.color);
  const shown = over({ ...ink, alpha: ink.alpha * opacity }, background);
  const size = parseFloat(style.fontSize);
  const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  const [found, least] = [contrast(shown, background), isLarge ? 3 : 4.5];
  const pair = `${hex(shown)} on ${hex(background)}`;
  seen.texts += 1;
  seen.pairs.add(pair);
  const fault = `${pair} is ${found.toFixed(2)}, not ${least}, in <${element.tagName.toLowerCase()} class="${element.className}">`;
  if (found < least) seen.faint.add(fault);
}

// Of the window. `innerWidth` grows with what does not fit, on a phone.
function edge() {
  return document.documentElement.clientWidth + 1;
}

// Whether it stands in something that scrolls by itself, as a wide table does; the page as a whole must not.
function isInScroller(element, content) {
  for (let at = element.parentElement; at && at !== content; at = at.parentElement) {
    const { overflowX } = getComputedStyle(at);
    const fits = at.getBoundingClientRect().right <= edge();
    if (fits && (overflowX === "auto" || overflowX === "scroll")) return true;
  }
  return false;
}

function overflow() {
  const root = document.documentElement;
  const found = [];
  if (root.scrollWidth > edge()) found.push(`the page is ${root.scrollWidth} px wide`);
  const content = document.querySelector("main") ?? document.body;
  for (const element of content.querySelectorAll("*")) {
    const { right, width } = element.getBoundingClientRect();
    const isBeyond = width > 1 && right > edge();
    if (isBeyond && isShown(element) && !isInScroller(element, content)) {
      found.push(`reaches to ${Math.round(right)} px: ${describe(element)}`);
    }
  }
  return found.slice(0, 5);
}

// The results of a search come when the index is loaded.
async function searched() {
  for (let tries = 0; !document.querySelector("#mdbook-searchresults li"); tries += 1) {
    if (tries === 400) throw new Error("the search shows no results");
    await new Promise((done) => setTimeout(done, 50));
  }
}

async function look() {
  await document.fonts.ready;
  if (new URLSearchParams(location.search).has("search")) await searched();
  // Everything is looked at, also what is only loaded when it is scrolled to.
  for (const image of document.images) image.loading = "eager";
  await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
  const seen = { texts: 0, pairs: new Set(), faint: new Set() };
  for (const element of texts()) judge(element, getComputedStyle(element), seen);
  for (const input of document.querySelectorAll("input[placeholder]")) {
    if (isShown(input)) judge(input, getComputedStyle(input, "::placeholder"), seen);
  }
  const images = [];
  for (const image of document.images) {
    if (image.naturalWidth === 0) images.push(`${image.src} is not loaded`);
    if (!image.alt.trim()) images.push(`${image.src} has no text alternative`);
  }
  // mdBook's page for what is missing has a base, so that its own anchors lead to the first page: that is mdBook's.
  const isAstray = (element) => document.querySelector("base[href]") && element.getAttribute("href")?.startsWith("#");
  const addresses = (selector, attribute) =>
    [...document.querySelectorAll(selector)].filter((element) => !isAstray(element)).map((element) => element[attribute]);
  const links = [
    ...addresses("a[href]", "href"), ...addresses("link[href]", "href"),
    ...addresses("img[src]", "src"), ...addresses("script[src]", "src"),
  ];
  return {
    theme: ["light", "rust", "coal", "navy", "ayu"].filter((name) => document.documentElement.classList.contains(name)).join(),
    overflow: overflow(),
    texts: seen.texts,
    pairs: [...seen.pairs],
    faint: [...seen.faint],
    images,
    pictures: document.images.length,
    links: [...new Set(links)],
    anchors: [...document.querySelectorAll("[id]")].map((element) => element.id),
  };
}

async function draw(url, width) {
  const place = document.createElement("div");
  place.style.cssText = `position:absolute; left:0; top:0; width:${width}px`;
  place.innerHTML = await (await fetch(url)).text();
  document.body.append(place);
  const picture = place.querySelector("svg");
  picture.setAttribute("width", width);
  picture.removeAttribute("height");
  const scale = width / picture.viewBox.baseVal.width;
  const frame = picture.getBoundingClientRect();
  const texts = [...picture.querySelectorAll("text")].map((text) => ({ text: text.textContent, size: parseFloat(getComputedStyle(text).fontSize) * scale, box: text.getBoundingClientRect() }));
  const faults = [];
  texts.forEach(({ text, box }, at) => {
    if (box.left < frame.left + 1 || box.right > frame.right - 1) faults.push(`${JSON.stringify(text)} reaches out of the picture`);
    for (const other of texts.slice(at + 1)) {
      const wide = Math.min(box.right, other.box.right) - Math.max(box.left, other.box.left);
      const high = Math.min(box.bottom, other.box.bottom) - Math.max(box.top, other.box.top);
      // Lines that follow each other touch a little: a box is higher than its letters.
      if (wide > 1 && high > 4) faults.push(`${JSON.stringify(text)} and ${JSON.stringify(other.text)} overlap`);
    }
  });
  place.remove();
  return { smallest: Math.min(...texts.map(({ size }) => size)), faults };
}

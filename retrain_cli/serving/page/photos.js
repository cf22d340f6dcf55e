// Photos that are chosen, taken or dropped, each shown with what comes of it. This file is shared by
// the page of the service and by the one that `export --format web` writes.

export const by = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)} %`;

export function onPhotos(atOnce, label) { // label(file, place) is called for each, so many at a time
  const waiting = [];
  let running = 0, done = 0, asked = 0;

  function take(files) {
    const photos = [...files];
    if (!photos.length) return;
    asked += photos.length;
    for (const file of photos) waiting.push({ file, place: addPlace(file) });
    tell();
    go();
  }

  function go() {
    while (running < atOnce && waiting.length) {
      running += 1;
      const { file, place } = waiting.shift();
      label(file, place).finally(() => {
        running -= 1;
        done += 1;
        tell();
        go();
      });
    }
  }

  function tell() {
    by("status").textContent = done < asked
      ? `${done} of ${asked} photos labelled …`
      : `${asked} ${asked === 1 ? "photo" : "photos"} labelled.`;
  }

  for (const id of ["files", "camera"]) {
    by(id).addEventListener("change", (event) => {
      take(event.target.files);
      event.target.value = "";
    });
  }
  onDropped(take);
}

function onDropped(take) {
  const drop = by("drop");
  for (const kind of ["dragenter", "dragover"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    take(event.dataTransfer.files);
  });
}

function addPlace(file) {
  const place = by("photo").content.firstElementChild.cloneNode(true);
  const picture = place.querySelector(".picture");
  picture.src = URL.createObjectURL(file);
  picture.alt = file.name;
  picture.addEventListener("error", () => { picture.hidden = true; }); // a format of no browser's
  place.querySelector("h2").textContent = "…";
  place.querySelector(".name").textContent = file.name;
  by("photos").prepend(place);
  return place;
}

export function showError(place, words) {
  place.classList.add("bad");
  place.querySelector("h2").textContent = words;
}

export function showBars(place, labels) { // each with its label, and its score from 0 to 1
  for (const { label, score } of labels) {
    const row = element("li");
    const line = element("div", "", "line");
    line.append(element("span", label), element("span", percent(score)));
    const track = element("div", "", "track");
    track.setAttribute("aria-hidden", "true");
    const bar = element("i");
    bar.style.width = `${100 * score}%`;
    track.append(bar);
    row.append(line, track);
    place.querySelector(".bars").append(row);
  }
}

export function element(name, text = "", kind = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

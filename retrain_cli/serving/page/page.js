import { by, element, onPhotos, showBars, showError } from "./photos.js";

const AT_ONCE = 3; // more would only wait at the service
let about = { labels: [], none: "none-of-these", corrections: false, similar: 0, heatmaps: false, max_bytes: 0 };
let key = sessionStorage.getItem("retrain-key") || "";

async function ask(path, options = {}) {
  const headers = { ...(options.headers || {}) };
  if (key) headers.Authorization = `Bearer ${key}`;
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401) by("key-form").hidden = false;
  return answer;
}

async function begin() {
  const answer = await ask("/labels");
  if (!answer.ok) {
    by("status").textContent = answer.status === 401 ? "" : "The service does not answer.";
    if (answer.status === 401) by("key").focus();
    return;
  }
  by("key-form").hidden = true;
  about = await answer.json();
  by("model").textContent = `${about.model}: ${about.labels.length} classes`;
}

async function label(file, place) {
  if (about.max_bytes && file.size > about.max_bytes) {
    showError(place, `It has more than ${about.max_bytes} bytes, the limit of this service.`);
    return;
  }
  const photo = await labelled(file, about.similar ? `?similar=${about.similar}` : "");
  if (photo.error) {
    showError(place, photo.error);
    return;
  }
  showLabels(place, photo);
  if (about.heatmaps) offerHeatmap(place, file);
  if (about.corrections) offerCorrection(place, photo, file);
  if (photo.similar && photo.similar.length) await showSimilar(place, photo.similar);
}

async function labelled(file, query) {
  for (;;) { // when all places are taken, the service says when to come again
    const answer = await ask(`/label${query}`, {
      method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" },
    });
    if (answer.status !== 429) {
      const told = await answer.json();
      return told.photos ? told.photos[0] : told;
    }
    const seconds = Number(answer.headers.get("Retry-After")) || 1;
    await new Promise((go) => setTimeout(go, 1000 * seconds));
  }
}

function showLabels(place, photo) {
  const best = photo.labels[0];
  const title = place.querySelector("h2");
  if (best) title.textContent = best.label;
  else title.textContent = "None of these";
  const shown = best ? photo.labels : photo.best ? [photo.best] : [];
  if (photo.rejected) {
    const why = photo.rejected === "novel" ? "It is unlike the training photos." : "It might be several of them.";
    place.querySelector(".name").textContent += ` · ${why}`;
  }
  showBars(place, shown);
}

function offerHeatmap(place, file) {
  const part = place.querySelector(".heat-part"), button = part.querySelector("button");
  const frame = place.querySelector(".frame"), told = part.querySelector("p");
  const heat = element("img", "", "heat");
  part.hidden = false;
  button.addEventListener("click", async () => {
    if (button.hasAttribute("aria-disabled")) return;
    const on = button.getAttribute("aria-pressed") === "false";
    if (!heat.src) {
      button.setAttribute("aria-disabled", "true");
      told.textContent = "…";
      const photo = await labelled(file, "?heatmap=1").catch(() => ({ error: "The service does not answer." }));
      button.removeAttribute("aria-disabled");
      const found = photo.heatmap || photo;
      if (!found.picture) {
        told.textContent = found.error;
        return;
      }
      heat.src = found.picture;
      heat.alt = `Heatmap: what speaks for ${found.label} is strongest ${hottest(found)}.`;
      frame.append(heat);
      told.dataset.words = `The brighter, the more speaks for ${found.label}.`;
    }
    heat.hidden = !on;
    frame.classList.toggle("hot", on);
    button.setAttribute("aria-pressed", String(on));
    told.textContent = on ? told.dataset.words : "";
  });
}

function hottest({ grid, box, size }) { // in words, for those who do not see it
  const flat = grid.flat(), at = flat.indexOf(Math.max(...flat)), columns = grid[0].length;
  const place = (field, fields, from, to, extent) =>
    Math.min(2, Math.max(0, Math.floor(3 * (from + (field + 0.5) / fields * (to - from)) / extent)));
  const across = place(at % columns, columns, box[0], box[2], size[0]);
  const down = place(Math.floor(at / columns), grid.length, box[1], box[3], size[1]);
  const words = [["at the top", "", "at the bottom"][down], ["on the left", "", "on the right"][across]];
  return words.filter(Boolean).join(" ") || "in the middle";
}

function offerCorrection(place, photo, file) {
  const part = place.querySelector(".correction");
  const choice = part.querySelector("select"), button = part.querySelector("button");
  const first = photo.labels[0] ? photo.labels[0].label : "";
  const options = about.labels.map((name) => new Option(name, name, false, name === first));
  choice.append(...options, new Option("None of these", "", false, !first));
  part.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    const kept = part.querySelector(".kept");
    try {
      const answer = await ask(`/correct?label=${encodeURIComponent(choice.value)}`, {
        method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" },
      });
      const told = await answer.json();
      kept.textContent = answer.ok ? `Kept for the next training, as ${choice.value || "none of these"}.` : told.error;
    } catch {
      kept.textContent = "The service does not answer.";
    }
    button.disabled = false;
  });
}

async function showSimilar(place, similar) {
  const part = place.querySelector(".similar");
  for (const { row, label, similarity } of similar) {
    const answer = await ask(`/training-photos/${row}`);
    const one = element("li");
    if (answer.ok) {
      const picture = element("img");
      picture.src = URL.createObjectURL(await answer.blob());
      picture.alt = `a training photo of ${label}`;
      one.append(picture);
    }
    one.append(element("span", `${label}, ${similarity.toFixed(2)}`));
    part.querySelector("ul").append(one);
  }
  part.hidden = false;
}

onPhotos(AT_ONCE, async (file, place) => {
  await label(file, place).catch(() => showError(place, "The service does not answer."));
});
by("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = by("key").value;
  sessionStorage.setItem("retrain-key", key);
  begin();
});
begin().catch(() => { by("status").textContent = "The service does not answer."; });

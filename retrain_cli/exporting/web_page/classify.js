// Labels photos in the browser, by the network in model.onnx. Turning a photo as its EXIF
// orientation says is the browser's part; resizing and scaling are in the network's file.
import * as ort from "./runtime/ort.wasm.min.mjs";
import { by, onPhotos, showBars, showError } from "./photos.js";

const SHOWN = 5;
const PIXELS = 4_000_000; // larger photos are averaged over squares, to at least so many
const STRIP = 1_000_000; // pixels that are read at a time: phones have no room for larger canvases

const ready = load();
ready.then(({ about }) => {
  by("model").textContent = `${about.run}: ${about.labels.length} classes`;
  by("status").textContent = "";
}).catch((error) => { by("status").textContent = `The model cannot be loaded: ${error.message}`; });

async function load() {
  by("status").textContent = "The model is being loaded …";
  const [about, network] = await Promise.all([fetched("retrain.json"), fetched("model.onnx")]);
  return {
    about: await about.json(),
    session: await ort.InferenceSession.create(await network.arrayBuffer()),
  };
}

async function fetched(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${answer.statusText}`);
  return answer;
}

async function label(file, place) {
  const { about, session } = await ready;
  const images = await pixelsOf(file);
  const { scores } = await session.run({ images }, ["scores"]);
  const labels = [...scores.data].map((score, at) => ({ label: about.labels[at], score }));
  labels.sort((one, other) => other.score - one.score);
  const isKnown = about.least_score === null || labels[0].score >= about.least_score;
  place.querySelector("h2").textContent = isKnown ? labels[0].label : "None of these";
  if (!isKnown) place.querySelector(".name").textContent += " · No label is likely enough.";
  showBars(place, labels.slice(0, SHOWN));
}

async function pixelsOf(file) { // (1, height, width, 3) uint8
  const photo = await createImageBitmap(file, { colorSpaceConversion: "none" }).catch(() => {
    throw new Error("This browser cannot read the photo.");
  });
  const square = Math.max(1, Math.floor(Math.sqrt(photo.width * photo.height / PIXELS)));
  const width = Math.max(1, Math.floor(photo.width / square));
  const height = Math.max(1, Math.floor(photo.height / square));
  const pixels = new Uint8Array(height * width * 3);
  const rows = Math.max(1, Math.floor(STRIP / (photo.width * square)));
  for (let top = 0; top < height; top += rows) {
    const last = Math.min(height, top + rows);
    const strip = stripOf(photo, top * square, (last - top) * square);
    average(strip, square, width, pixels.subarray(top * width * 3, last * width * 3));
  }
  photo.close();
  return new ort.Tensor("uint8", pixels, [1, height, width, 3]);
}

function stripOf(photo, top, height) { // rows of a photo on white, as RGBA
  const canvas = document.createElement("canvas");
  canvas.width = photo.width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, photo.width, height);
  context.drawImage(photo, 0, -top);
  return context.getImageData(0, 0, photo.width, height);
}

function average(strip, square, width, pixels) { // each square of RGBA pixels becomes one of RGB
  for (let at = 0; at < pixels.length; at += 1) {
    const channel = at % 3, pixel = (at - channel) / 3;
    const left = pixel % width, row = (pixel - left) / width;
    let sum = 0;
    for (let y = row * square; y < (row + 1) * square; y += 1) {
      for (let x = left * square; x < (left + 1) * square; x += 1) {
        sum += strip.data[4 * (y * strip.width + x) + channel];
      }
    }
    pixels[at] = Math.round(sum / (square * square));
  }
}

onPhotos(1, async (file, place) => {
  await label(file, place).catch((error) => showError(place, error.message));
});

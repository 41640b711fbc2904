// Events as they come. The stream is read by fetch, as EventSource does not say why it was refused.

const KEPT = 200
const SAY_EVERY = 15_000
const HIDDEN_FOR = 60_000

const live = document.querySelector("[data-live]")
const rows = live.querySelector("[data-rows]")
const state = live.querySelector("[data-state]")
const pauseButton = live.querySelector("[data-pause]")
const say = live.querySelector("[data-say]")

let after = live.dataset.after
let paused = false
let held = []
let reading = null
let failures = 0
let unsaid = 0

live.querySelector("[data-controls]").hidden = false

function show(word, tone) {
  state.textContent = word
  state.dataset.tone = tone
}

function shownNow() {
  if (paused) show(held.length ? `Paused, ${held.length}${held.length === KEPT ? " or more" : ""} new` : "Paused", "paused")
  else if (reading && !failures) show("Live", "live")
}

// The server has escaped everything in these rows; `template` runs nothing that is in them.
function rowsOf(markup) {
  const template = document.createElement("template")
  template.innerHTML = markup
  return [...template.content.querySelectorAll("tr[data-event]")]
}

function put(fresh) {
  const known = new Set([...rows.children].map((each) => each.dataset.event))
  const added = fresh.filter((each) => !known.has(each.dataset.event))
  for (const each of added) each.classList.add("fresh")
  rows.prepend(...added)
  while (rows.children.length > KEPT) rows.lastElementChild.remove()
  if (rows.children.length) live.querySelector("[data-waiting]").hidden = true
  unsaid += added.length
}

function take(data) {
  const found = JSON.parse(data)
  const fresh = rowsOf(found.rows)
  if (found.skipped || found.count > fresh.length) live.querySelector("[data-skipped]").hidden = false
  if (paused) held = [...fresh, ...held].slice(0, KEPT)
  else put(fresh)
  shownNow()
}

function frame(text) {
  let data = ""
  for (const line of text.split("\n")) {
    if (line.startsWith("id: ")) after = line.slice(4)
    if (line.startsWith("data: ")) data += line.slice(6)
  }
  if (data) take(data)
}

async function read(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ""
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const frames = (rest + value).split("\n\n")
    rest = frames.pop()
    frames.forEach(frame)
    failures = 0
    shownNow()
  }
}

function pause(seconds) {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000))
}

async function follow() {
  const mine = new AbortController()
  reading = mine
  while (reading === mine) {
    try {
      const url = new URL(live.dataset.stream, location.href)
      url.searchParams.set("after", after)
      const response = await fetch(url, { signal: mine.signal, headers: { accept: "text/event-stream" } })
      if (response.status === 401) {
        show("Your session is over: load this page anew", "lost")
        return
      }
      if (!response.ok) throw new Error(response.status === 503 ? "Too many live views are open" : "Not to be had now")
      await read(response) // it ends by itself now and then
    } catch (error) {
      if (mine.signal.aborted) return
      failures += 1
      const wait = Math.min(30, 2 ** Math.min(failures, 5))
      const why = error.message.endsWith("open") || error.message.endsWith("now") ? error.message : "The connection is lost"
      show(`${why}; again in ${wait} s`, "lost")
      if (failures === 1) say.textContent = `${why}. It is tried again.`
      await pause(wait)
    }
  }
}

function end() {
  reading?.abort()
  reading = null
}

pauseButton.addEventListener("click", () => {
  paused = !paused
  pauseButton.setAttribute("aria-pressed", String(paused))
  if (!paused) {
    put(held)
    held = []
  }
  shownNow()
})

// Whoever does not look needs no stream, of which there are few; what came meanwhile is caught up with.
let hiding = 0
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding)
  if (document.hidden) hiding = setTimeout(end, HIDDEN_FOR)
  else if (!reading) follow()
})
addEventListener("pagehide", end)
addEventListener("pageshow", (event) => {
  if (event.persisted && !reading) follow()
})

// Said now and then, not with each event.
setInterval(() => {
  if (unsaid && !paused) say.textContent = unsaid === 1 ? "1 new event" : `${unsaid} new events`
  unsaid = 0
}, SAY_EVERY)

follow()

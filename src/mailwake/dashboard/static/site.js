// What every page has: colours, panels that close, and nothing that a page cannot do without.

const form = document.querySelector("[data-theme-switch]")
form?.addEventListener("submit", (event) => {
  const button = event.submitter
  if (!button || button.name !== "theme") return
  event.preventDefault()
  document.documentElement.dataset.theme = button.value
  for (const each of form.querySelectorAll("button[name=theme]")) {
    each.setAttribute("aria-pressed", String(each === button))
  }
  document.dispatchEvent(new CustomEvent("themechange"))
  const fields = new FormData(form)
  fields.set("theme", button.value)
  fetch(form.action, { method: "POST", body: new URLSearchParams(fields), redirect: "manual" })
})

// On a phone the navigation is a row that may be longer than the window.
const row = document.querySelector(".pages")
const current = row?.querySelector("[aria-current]")
if (current && row.scrollWidth > row.clientWidth) row.scrollLeft = current.offsetLeft - row.offsetLeft - 12

const panels = [...document.querySelectorAll("details.pop")]
document.addEventListener("click", (event) => {
  for (const each of panels) if (each.open && !each.contains(event.target)) each.open = false
})
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return
  for (const each of panels) {
    if (each.open && each.contains(document.activeElement)) each.querySelector("summary").focus()
    each.open = false
  }
})

// The browser's own time zone is the first one offered.
const zones = document.getElementById("zones")
const own = Intl.DateTimeFormat().resolvedOptions().timeZone
if (zones && own && ![...zones.options].some((each) => each.value === own)) {
  const option = document.createElement("option")
  option.value = own
  zones.prepend(option)
}

// What can be filtered by is asked for when a field is entered.
for (const field of document.querySelectorAll("[data-suggest]")) {
  field.addEventListener("focus", async () => {
    const answer = await fetch(field.dataset.suggest)
    if (!answer.ok) return
    for (const value of await answer.json()) {
      const option = document.createElement("option")
      option.value = value
      field.list.append(option)
    }
  }, { once: true })
}

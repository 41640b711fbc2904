// Draws each table of figures over time as a curve. The table stays: it is what screen readers and printers get.

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 })
const HEIGHT = 240

function read(figure) {
  const heads = [...figure.querySelectorAll("thead th[data-kind]")]
  const rows = [...figure.querySelectorAll("tbody tr")]
  return {
    series: heads.map((each) => ({ kind: each.dataset.kind, name: each.textContent })),
    labels: rows.map((row) => row.querySelector("th").textContent),
    data: [
      rows.map((row) => Number(row.dataset.time)),
      ...heads.map((_, place) => rows.map((row) => Number(row.querySelectorAll("td")[place].dataset.value))),
    ],
  }
}

function colours(figure) {
  const style = getComputedStyle(figure)
  return (name) => style.getPropertyValue(`--${name}`).trim()
}

function draw(figure) {
  const plot = figure.querySelector(".plot")
  const { series, labels, data } = read(figure)
  if (data[0].length < 2) {
    plot.hidden = true
    figure.querySelector("details").open = true
    return null
  }
  const colour = colours(figure)
  const totals = [...figure.querySelectorAll("[data-total]")]
  const kept = totals.map((each) => each.textContent)
  const hint = figure.querySelector(".at") ?? figure.querySelector(".legend").appendChild(document.createElement("li"))
  hint.className = "at"
  const zone = figure.dataset.zone
  const few = data[0].length <= 60
  const at = new Intl.DateTimeFormat("en-GB", figure.dataset.span === "hour"
    ? { weekday: "short", hour: "2-digit", minute: "2-digit", timeZone: zone }
    : figure.dataset.span === "month" ? { month: "short", year: "numeric", timeZone: zone }
      : { day: "numeric", month: "short", timeZone: zone })
  const days = [1, 2, 3, 7, 14, 30, 60, 90, 180, 365, 730].map((each) => each * 86400)
  const axis = { stroke: colour("soft"), font: "12px system-ui, sans-serif", ticks: { show: false } }
  const chart = new uPlot(
    {
      width: plot.clientWidth,
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      scales: { y: { range: (_, low, high) => [0, Math.max(4, high * 1.08)] } },
      axes: [
        { ...axis, grid: { show: false }, space: 70, size: 28,
          ...(figure.dataset.span === "hour" ? {} : { incrs: days }), values: (_, values) => values.map((each) => at.format(each * 1000)) },
        {
          ...axis, grid: { stroke: colour("line"), width: 1 }, size: 46,
          values: (_, values) => values.map((value) => (Number.isInteger(value) ? short.format(value) : "")),
        },
      ],
      series: [
        {},
        ...series.map((each) => ({
          stroke: colour(each.kind), width: 2, points: { show: few && data[0].length <= 31, size: 5 },
          fill: `${colour(each.kind)}1c`,
        })),
      ],
      hooks: {
        setCursor: [(self) => {
          const index = self.cursor.idx
          hint.textContent = index == null ? "" : labels[index]
          totals.forEach((each, place) => {
            each.textContent = index == null ? kept[place] : number.format(data[place + 1][index]).replaceAll(",", "\u202f")
          })
        }],
      },
    },
    data,
    plot,
  )
  return chart
}

const charts = new Map()
function drawAll() {
  for (const figure of document.querySelectorAll("[data-chart]")) {
    charts.get(figure)?.destroy()
    charts.set(figure, draw(figure))
  }
}

drawAll()
document.addEventListener("themechange", drawAll)
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll)
new ResizeObserver(() => {
  for (const [figure, chart] of charts) {
    const width = figure.querySelector(".plot").clientWidth
    if (chart && width && width !== chart.width) chart.setSize({ width, height: HEIGHT })
  }
}).observe(document.querySelector("main"))

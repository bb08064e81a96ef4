"""The report's style sheet, kept in the page itself: nothing is fetched.

Cells of heat maps carry one number, `--t` in 0..1; the colour is a class's hue at that opacity over the page,
so one rule serves light and dark. Hues are blue for gains and values and orange for losses (told apart under
the common colour-vision deficiencies), and opacity stops at `--most`, where text on the cell still has a
contrast above 4.5.
"""

CSS = """
:root {
  color-scheme: light dark;
  --page: #ffffff; --ink: #1b1f24; --soft: #59636e; --line: #d5dae0; --panel: #f5f7f9; --link: #0a58a6;
  --gain: 0 114 178; --loss: 213 94 0; --value: 0 114 178; --gain-text: #00598c; --loss-text: #a34700;
  --most: .55;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171b; --ink: #e7eaee; --soft: #9aa4af; --line: #343b44; --panel: #1c2127; --link: #74b7f0;
    --gain: 30 130 200; --loss: 214 100 10; --value: 30 130 200; --gain-text: #7cc4f5; --loss-text: #f5a25d;
    --most: .6;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 76rem; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  -webkit-text-size-adjust: 100%; text-size-adjust: 100%;
}
h1 { font-size: 1.7rem; line-height: 1.2; margin: .5rem 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.75rem 0 .5rem; padding-top: .6rem; border-top: 1px solid var(--line);
     overflow-wrap: anywhere; }
p { max-width: 46rem; margin: .4rem 0 .8rem; overflow-wrap: anywhere; }
a { color: var(--link); }
.soft { color: var(--soft); }
.lead { font-size: 1.08rem; }
nav { display: flex; flex-wrap: wrap; gap: .25rem .9rem; margin: 1rem 0; font-size: .92rem; }
ul.notes { margin: .5rem 0 0; padding-left: 1.1rem; color: var(--soft); font-size: .86rem; max-width: 52rem; }
details { margin: .75rem 0; }
summary { cursor: pointer; color: var(--link); font-size: .92rem; }
.scroll { overflow-x: auto; margin: 1rem 0 .4rem; max-width: 100%; }
.scroll:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
table { border-collapse: separate; border-spacing: 0; font-variant-numeric: tabular-nums; font-size: .88rem; }
caption { caption-side: top; text-align: left; font-weight: 600; padding: 0 0 .35rem; }
/* A table wider than the screen scrolls; its caption stays. */
caption > span { position: sticky; left: 0; display: inline-block;
                 max-width: calc(min(100vw, 76rem) - 2.5rem); }
caption .soft { font-weight: 400; }
th, td { padding: .28rem .42rem; text-align: right; white-space: nowrap;
         border-bottom: 1px solid var(--line); }
thead th { font-weight: 600; vertical-align: bottom; }
thead tr.groups > * { color: var(--soft); font-weight: 400; font-size: .9em; text-align: left;
                      border-bottom: 0; }
.start { border-left: 1px solid var(--line); }
tbody th, thead :is(th, td):first-child {
  position: sticky; left: 0; z-index: 1; text-align: left; background: var(--page); font-weight: 600;
  max-width: 14rem; overflow: hidden; text-overflow: ellipsis;
}
tr.chance td, tr.chance th { color: var(--soft); font-weight: 400; font-style: italic; }
tr.choice th, tr.published th { font-weight: 400; font-style: italic; white-space: normal; min-width: 10.5rem; }
tr.choice td, tr.choice th { border-bottom-style: dotted; }
tr.published td, tr.published th { color: var(--soft); border-bottom-style: dashed; }
/* A chosen row's name breaks rather than widening its column: averages stay in sight. */
td .name { display: block; color: var(--soft); font-size: .8em; line-height: 1.2; white-space: normal;
           overflow-wrap: anywhere; max-width: 6rem; margin-left: auto; }
td[style] .name { color: inherit; opacity: .85; }
td .delta { display: block; font-size: .87em; line-height: 1.2; min-height: 1.2em; }
td .spread { color: var(--soft); font-size: .87em; }
td[style] .spread { color: inherit; opacity: .85; }
td .up { color: var(--gain-text); } td .down { color: var(--loss-text); }
td.best .score { font-weight: 700; text-decoration: underline; text-underline-offset: .2em; }
td.missing { color: var(--soft); }
td.gain { background: rgb(var(--gain) / calc(var(--t) * var(--most))); }
td.loss { background: rgb(var(--loss) / calc(var(--t) * var(--most))); }
td.value { background: rgb(var(--value) / calc(var(--t) * var(--most))); }
td.gain .up, td.loss .down { color: inherit; }
table.heat { font-size: .82rem; }
table.heat th, table.heat td { padding: .2rem .38rem; border-bottom-color: var(--page); }
table.heat.means tr > :nth-child(3) { border-right: .5rem solid var(--page); }
table.heat tbody th, table.heat thead :first-child { padding-right: .8rem; }
table.listing { font-size: .86rem; }
table.listing thead th { white-space: normal; max-width: 9rem; }
table.listing td { padding: .2rem .6rem; }
table.listing td.words { text-align: left; }
table.facts { margin: .5rem 0 1rem; }
table.facts td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
table.facts tbody th { position: static; font-weight: 400; color: var(--soft); vertical-align: top; }
details table.facts tbody th { white-space: normal; overflow-wrap: break-word; }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem;
       font-size: .86rem; margin: .5rem 0; align-items: center; }
.key span { display: inline-flex; align-items: center; gap: .4rem; overflow-wrap: anywhere; }
.key svg { flex: none; }
.ramp { width: 5.5rem; height: .7rem; border: 1px solid var(--line); display: inline-block; }
.ramp.value { background: linear-gradient(to right, transparent, rgb(var(--value) / var(--most))); }
.ramp.delta { background: linear-gradient(to right, rgb(var(--loss) / var(--most)), transparent,
              rgb(var(--gain) / var(--most))); }
figure { margin: .5rem 0; }
figure > svg { display: block; max-width: 100%; height: auto; }
figure svg text { font-family: inherit !important; }
.pictures { display: grid; gap: 1rem 1.5rem; align-items: start;
            grid-template-columns: repeat(auto-fit, minmax(min(100%, 22.5rem), 1fr)); }
.pictures > figure { min-width: 0; }
.pictures .scroll > svg { display: block; max-width: none; height: auto; }
figcaption { font-size: .86rem; color: var(--soft); max-width: 46rem; overflow-wrap: anywhere; }
figcaption strong { color: var(--ink); font-weight: 600; }
footer { margin-top: 3rem; padding-top: .6rem; border-top: 1px solid var(--line); color: var(--soft);
         font-size: .86rem; }
@media (max-width: 40rem) {
  body { padding: 1rem .8rem 3rem; }
  tbody th, thead :is(th, td):first-child { max-width: 8rem; }
  tbody th { white-space: normal; overflow-wrap: anywhere; }
  tr.choice th, tr.published th { min-width: 8rem; }
  th, td { padding: .25rem .45rem; }
}
@media print {
  @page { size: A4 landscape; margin: 12mm; }
  :root { --page: #fff; --ink: #000; --soft: #444; --line: #bbb; --gain: 0 114 178; --loss: 213 94 0;
          --value: 0 114 178; --gain-text: #00598c; --loss-text: #a34700; --most: .55; color-scheme: light; }
  body { padding: 0; max-width: none; font-size: 9pt; }
  nav { display: none; }
  .scroll { overflow: visible; }
  tbody th, thead :is(th, td):first-child { position: static; }
  h2 { margin-top: 1.25rem; }
  table { font-size: 8pt; }
  th, td { padding: .12rem .4rem; }
  table.heat { font-size: 7.5pt; }
  table.heat th, table.heat td { padding: .12rem .25rem; }
  table.heat.many { font-size: 6pt; }
  table.heat.many th, table.heat.many td { padding: .1rem .12rem; }
  details:not([open]) { display: none; }
  td { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  .ramp { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  tr, svg, table { break-inside: avoid; }
  h2, h2 + p, caption { break-after: avoid; }
  a { color: inherit; text-decoration: none; }
}
"""

// The measurements of bench/dashboard, on the server of the environment.
'use strict';
const { Gateway, Visits, browser, makeData, rows, sql, until } = require('../test/dashboard/stage.js');
const EVENTS = Number(process.env.EVENTS ?? 1_000_000);
const ROUNDS = 9;

const median = (numbers) => numbers.sort((a, b) => a - b)[numbers.length >> 1];

async function main() {
  makeData();
  const before = Number(sql("SELECT activity.feed_count('acme')"));
  for (let at = 0; at < EVENTS; at += 50_000)
    sql(`SELECT count(activity.record('acme', (ARRAY['credit.charge', 'auth.signin', 'credit.add'])[1 + n % 3]::activity.event_type, jsonb_build_object('id', n), '{"amount": 1}')) FROM generate_series(${at + 1}, ${Math.min(at + 50_000, EVENTS)}) n`);
  await until('everything is published', () => { sql('SELECT activity.publish()'); return sql('SELECT backlog = 0 FROM activity.health') === 't'; });
  sql('SELECT activity.maintain(); VACUUM ANALYZE');
  const gateway = new Gateway();
  await gateway.start();
  const chromium = await browser();
  const visits = new Visits(chromium, gateway);
  const page = await visits.as('acme', 'ada');
  await rows(page).first().waitFor();
  const last = Math.ceil((before + EVENTS) / 50);
  // From the change of the address to the frame after the one in which the new rows are.
  const open = (address) => page.evaluate((to) => new Promise((resolve) => {
    const shown = () => document.querySelector('.events tbody tr')?.innerText;
    const old = shown();
    performance.clearResourceTimings();
    const started = performance.now();
    location.hash = to;
    const look = () => {
      if (shown() === old || document.querySelector('[aria-busy=true]')) requestAnimationFrame(look);
      else requestAnimationFrame(() => {
        const asked = performance.getEntriesByType('resource').find((entry) => /\/activity\?/.test(entry.name));
        resolve([performance.now() - started, asked.duration]);
      });
    };
    requestAnimationFrame(look);
  }), address);
  console.log(`\n| ${(before + EVENTS).toLocaleString('en')} events | from click to paint, p50 of ${ROUNDS} | of which the answer |\n|---|---|---|`);
  const places = [['page 1', '#/events'], ['page 100', '#/events?page=100'], [`page ${last.toLocaleString('en')}`, `#/events?page=${last}`],
    ['one family, page 1', '#/events?type=credit.*'], ['one actor, page 1', '#/events?actor=ada']];
  const results = places.map(() => []);
  for (let round = 0; round < ROUNDS; round++)
    for (const [at, [, address]] of places.entries()) {
      await open(`#/events?page=${200 + round}`);
      results[at].push(await open(address));
    }
  for (const [at, [name]] of places.entries())
    console.log(`| ${name} | ${median(results[at].map(([whole]) => whole)).toFixed(0)} ms | ${median(results[at].map(([, asked]) => asked)).toFixed(0)} ms |`);
  await visits.close();
  await chromium.close();
  await gateway.stop();
}

main();

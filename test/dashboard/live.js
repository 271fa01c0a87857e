// What happens while somebody looks: told quietly, missed never, and never in the way.
'use strict';

module.exports = async ({ ok, is, gateway, visit, sql, rows, settle, until, view }) => {
  const page = await visit.as('acme', 'ada');
  const live = page.locator('.live.live');
  const positions = () => page.getByRole('group', { name: 'Live tail', exact: true }).locator('tbody tr td:first-child').allInnerTexts().then((all) => all.map(Number));
  const record = (number, actor = 'ada') => sql(`BEGIN; SELECT activity.set_actor('${actor}', name => '${actor === 'ada' ? 'Ada Lovelace' : 'Grace Hopper'}');
    SELECT count(activity.record('acme', 'credit.charge', jsonb_build_object('id', 'live_' || n), '{"amount": 1, "model": "live-1"}')) FROM generate_series(1, ${number}) n; COMMIT`);
  await live.waitFor();
  await rows(page).first().waitFor();
  await settle(page);

  // The page does not move until one asks for it.
  await page.evaluate(() => window.scrollTo(0, 500));
  const before = await rows(page).allInnerTexts();
  record(3);
  await page.getByRole('button', { name: '3 new – show' }).waitFor();
  is(await page.evaluate(() => window.scrollY), 500, 'new events do not move the page');
  is((await rows(page).locator('td.action').allInnerTexts()).length, before.length, 'nor change its rows');
  ok(await page.getByRole('status').filter({ hasText: '3 new events' }).count() === 1, 'they are announced');
  await visit.picture('news');
  await page.getByRole('button', { name: '3 new – show' }).click();
  await until('the new rows', async () => (await rows(page).locator('td.description').allInnerTexts()).slice(0, 3).every((text) => /live-1/.test(text)));
  ok(true, 'and shown when one asks');

  // The button stays while more comes, and what stands in a year to come hides nothing.
  sql("SELECT activity.record('acme', 'auth.signin', occurred_at => '9999-01-01')");
  await page.getByRole('button', { name: '1 new – show' }).click();
  await until('the stray is the first', async () => /9999/.test(await rows(page).first().innerText()));
  record(1);
  await page.getByRole('button', { name: '1 new – show' }).evaluate((button) => { button.focus(); window.button = button; });
  record(1);
  await page.getByRole('button', { name: '2 new – show' }).waitFor();
  ok(await page.evaluate(() => document.activeElement === window.button), 'the button keeps the focus while it counts on');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: / new – show/ }).waitFor({ state: 'detached' });
  ok(await page.evaluate(() => document.activeElement?.id === 'main'), 'and leaves it to the page');

  // Of others than the filter picks nothing is said.
  await page.goto(`${gateway.url}/#/events?actor=grace`);
  await settle(page);
  await live.waitFor();
  record(1);
  record(2, 'grace');
  await page.getByRole('button', { name: '2 new – show' }).waitFor();
  ok(true, 'what is new passes the filters');

  // The tail, through the end of a gateway.
  await view(page, 'Realtime');
  await live.waitFor();
  record(5);
  await until('five in the tail', async () => (await positions()).length === 5);
  const port = gateway.port;
  await gateway.stop('SIGKILL');
  await page.locator('.live.lost').waitFor();
  ok(await page.getByText('misses nothing').first().isVisible(), 'a lost connection is said');
  await visit.picture('lost');
  record(7);
  await gateway.start(port);
  await until('it catches up', async () => (await positions()).length === 12);
  const all = await positions();
  ok(all.every((position, at) => at === 0 || position === all[at - 1] - 1), 'and comes back without a gap');
  await live.waitFor();

  // A thousand events a second: the page stays small, and takes them all.
  await page.evaluate(() => {
    window.frames_ = [];
    let last = performance.now();
    const frame = (now) => { window.frames_.push(now - last); last = now; window.running = requestAnimationFrame(frame); };
    window.running = requestAnimationFrame(frame);
    window.long = [];
    new PerformanceObserver((list) => window.long.push(...list.getEntries().map((entry) => entry.duration))).observe({ type: 'longtask' });
  });
  const seconds = 4;
  for (let n = 0; n < seconds * 4; n++) {
    record(250);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  await until('all of them', async () => (await page.getByText('since you came').innerText()).startsWith((12 + seconds * 1000).toLocaleString('en-GB')));
  const { frames, long } = await page.evaluate(() => { cancelAnimationFrame(window.running); return { frames: window.frames_, long: window.long }; });
  const head = Number(sql("SELECT position FROM activity.stream_head('acme')"));
  is((await positions()).length, 200, 'the tail keeps so many rows');
  await until('the newest is the first', async () => (await positions())[0] === head);
  frames.sort((a, b) => a - b);
  // Time decides nothing here: other work shares the machine.
  console.log(`# ${frames.length} frames while ${seconds * 1000} events came: p50 ${frames[frames.length >> 1].toFixed(1)} ms, p99 ${frames[Math.floor(frames.length * 0.99)].toFixed(1)} ms; ${long.length} tasks above 50 ms`);
  await page.getByRole('button', { name: 'Pause' }).click();
  record(1);
  await until('it is counted', async () => (await page.getByText('since you came').innerText()).startsWith((13 + seconds * 1000).toLocaleString('en-GB')));
  is((await positions())[0], head, 'a pause holds the tail');
  await page.getByRole('button', { name: 'Go on' }).click();
  await until('it goes on', async () => (await positions())[0] === head + 1);
  ok(true, 'and lets go of it without a loss');
};

// Each view and state, light and dark, wide and narrow: axe finds nothing, no line is
// broken, and a picture is kept.
'use strict';
const path = require('node:path');

module.exports = async ({ ok, is, gateway, visit, sql, rows, settle, view, receiver }) => {
  const hook = await receiver();
  hook.status = 500;
  const endpoint = sql(`SELECT endpoint_id FROM activity.create_webhook('acme', '${hook.url}', '{order.*,invitation.*}', 'The warehouse')`);
  sql(`BEGIN; SELECT activity.set_actor('ada', name => 'Ada Lovelace'); INSERT INTO orders (organization_id, amount) VALUES ('acme', 99), ('acme', 12.5); COMMIT; SELECT activity.publish()`);
  sql("SELECT activity.create_connection('acme', 'ada', 'The office screen'); SELECT activity.place_hold('acme', 'case 2026-17')");
  const changed = sql("SELECT id FROM activity.feed('acme', '{membership.role_changed}', page_size => 1)");
  const axe = path.join(__dirname, 'node_modules/axe-core/axe.min.js');
  const judge = async (page, name) => {
    // Its own code goes past the policy by the debugger's way, not through the page.
    const source = require('node:fs').readFileSync(axe, 'utf8');
    await page.evaluate(source);
    const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    is(found.violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' | ')}`), [], `axe finds nothing: ${name}`);
    is(await page.evaluate(() => [...document.querySelectorAll('body *')].filter((one) => {
      const box = one.getBoundingClientRect();
      return document.documentElement.scrollWidth > innerWidth && box.right > innerWidth + 1 && !one.closest('.scroll *, pre *, .unseen');
    }).map((one) => `${one.tagName} ${one.className}`).slice(0, 5)), [], `nothing is wider than the screen: ${name}`);
  };
  const states = [
    ['events', '#/events'],
    ['event', `#/events?type=membership.*&open=${changed}`],
    ['none', '#/events?q=nothing+has+this'],
    ['realtime', '#/realtime'],
    ['webhooks', '#/webhooks'],
    ['endpoint', `#/webhooks/${endpoint}`],
    ['analytics', `#/analytics?from=${new Date(Date.now() - 6 * 86_400_000).toISOString().slice(0, 10)}`],
    ['proof', '#/proof'],
    ['refused', '#/events?type=no.such'],
  ];
  for (const [look, options] of [
    ['light', { viewport: { width: 1120, height: 700 } }],
    ['dark', { viewport: { width: 1120, height: 700 }, colorScheme: 'dark' }],
    ['phone', { viewport: { width: 360, height: 740 } }],
    ['zoomed', { viewport: { width: 640, height: 400 }, deviceScaleFactor: 2 }], // 1280 at 200 %
  ]) {
    const page = await visit.as('acme', 'ada', options);
    for (const [name, address] of states) {
      await page.goto(`${gateway.url}/${address}`);
      await page.getByRole('heading', { level: 1 }).waitFor();
      if (name === 'event') await page.locator('tr.detail').getByText('Hash').waitFor();
      await settle(page);
      if (name === 'realtime') {
        await page.locator('.live.live').waitFor();
        sql(`BEGIN; SELECT activity.set_actor('grace', name => 'Grace Hopper');
          SELECT activity.record('acme', 'generation.succeeded', '{"id": "812"}', '{"model": "large-2"}'), activity.record('acme', 'credit.charge', '{"id": "812"}', '{"model": "large-2", "amount": 3.5}');
          COMMIT; SELECT activity.publish()`);
        await rows(page, 'Live tail').nth(1).waitFor();
      }
      await visit.picture(`${name}_${look}`, page);
      await judge(page, `${name}, ${look}`);
    }
    // What opens
    await page.goto(`${gateway.url}/#/events`);
    await rows(page).first().waitFor();
    await page.getByRole('button', { name: /^Type/ }).click();
    await page.getByRole('checkbox').first().waitFor();
    await visit.picture(`types_${look}`, page);
    await judge(page, `types, ${look}`);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Export', exact: true }).click();
    await page.getByRole('dialog', { name: 'Export' }).waitFor();
    await visit.picture(`export_${look}`, page);
    await judge(page, `export, ${look}`);
    await page.keyboard.press('Escape');
    await page.goto(`${gateway.url}/#/webhooks`);
    await page.getByRole('button', { name: 'Add an endpoint' }).click();
    await page.getByRole('dialog').waitFor();
    await judge(page, `endpoint form, ${look}`);
    await page.keyboard.press('Escape');
    await page.context().clearCookies();
    await page.goto(`${gateway.url}/`);
    await page.getByRole('heading', { name: 'Activity' }).waitFor();
    await judge(page, `signed out, ${look}`);
  }
  // Moving parts stand still for those who asked for it.
  const calm = await visit.as('acme', 'ada', { reducedMotion: 'reduce' });
  is(await calm.evaluate(() => [...document.querySelectorAll('*')].filter((one) => parseFloat(getComputedStyle(one).transitionDuration) > 0).length), 0, 'no motion for who wants none');
  // The reader's choice of colours stays.
  await calm.getByLabel('Colours').selectOption('dark');
  await calm.reload();
  await rows(calm).first().waitFor();
  is(await calm.evaluate(() => getComputedStyle(document.body).backgroundColor), 'rgb(20, 23, 28)', 'the choice of colours is kept');
  hook.close();
};

// What a tenant plants into its own events is shown to others as text, in every view.
'use strict';

module.exports = async ({ ok, is, gateway, visit, sql, rows, settle, until, hostile, view }) => {
  const page = await visit.as('evil', 'mallory');
  page.on('dialog', (dialog) => { visit.complaints.push(`dialog ${dialog.message()}`); dialog.dismiss(); });
  await rows(page).first().waitFor();
  await settle(page);
  const text = await page.getByRole('group', { name: 'Events', exact: true }).innerText();
  ok(text.includes(hostile.script), 'a script is text');
  ok(text.includes(hostile.hebrew), 'a name of another direction is there');
  ok(text.length < 60_000, 'what is long is cut');
  ok(await page.getByRole('button', { name: /all 100,000 characters/ }).count() >= 1, 'and can be asked for');
  is(await page.locator('a[href^="javascript"], main img, main script').count(), 0, 'nothing becomes a link, an image or a script');
  is(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'no line is broken out of');
  ok(text.includes('10001-02-03'), 'a year that the browser can not read is shown as it came');
  await page.goto(`${gateway.url}/#/events?subject=exact`);
  await until('one row', async () => await rows(page).count() === 1);
  await page.getByRole('button', { name: 'credit.charge', exact: true }).click();
  await page.locator('tr.detail').getByText('123456789012345678901234567890.123456789').first().waitFor();
  ok(await page.locator('tr.detail').getByText('1.50', { exact: true }).first().isVisible(), 'numbers keep their digits');
  await page.goto(`${gateway.url}/#/events`);
  // Not the one row of before.
  await until('all rows', async () => await rows(page).locator('td.action button').count() > Object.keys(hostile).length);
  await settle(page);
  for (const button of await rows(page).locator('td.action button').all()) {
    await button.click();
    await page.locator('tr.detail').getByText('Position').first().waitFor();
    await settle(page);
    is(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'nor of a row that is open');
    await button.click();
  }
  await visit.picture('hostile');
  for (const name of ['Realtime', 'Webhooks', 'Analytics', 'Proof']) {
    await view(page, name);
    await settle(page);
    is(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, `${name} holds its width`);
  }
  for (const address of ['#/events?q=<script>window.planted=1</script>', '#/events?type=<img src=x onerror=window.planted=1>', '#/webhooks/<img src=x onerror=window.planted=1>',
    '#/%E0%A4%A', '#/events?page=1e999&n=-5', '#/events?from=javascript:window.planted=1', '#/analytics?zone=<b>&from=9999-99-99&to=0000-00-00']) {
    await page.goto(`${gateway.url}/${address}`);
    await page.reload();
    await page.getByRole('heading', { level: 1 }).waitFor();
    await settle(page);
  }
  is(await page.evaluate(() => window.planted), undefined, 'nothing that was planted ran');

  // The policy is what stands behind: it refuses what a fault of ours would let in.
  await page.goto(`${gateway.url}/#/events`);
  const refused = await page.evaluate(() => new Promise((resolve) => {
    document.addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective), { once: true });
    const box = document.createElement('div');
    box.innerHTML = '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" onload="window.planted = 1" onerror="window.planted = 1">';
    document.body.append(box);
    setTimeout(() => resolve('nothing'), 5000);
  }));
  ok(refused !== 'nothing', 'the policy refuses inline code');
  is(await page.evaluate(() => window.planted), undefined, 'which does not run');
  visit.complaints = visit.complaints.filter((words) => !/Content Security Policy/.test(words));
};

// The numbers on the page are the database's, whatever range, step and zone, and each
// leads to the events behind it.
'use strict';

module.exports = async ({ ok, is, gateway, visit, sql, settle, view, until, rows }) => {
  const page = await visit.as('acme', 'ada');
  const digits = (text) => text.replaceAll(',', '');
  await view(page, 'Analytics');
  await settle(page);
  const cells = (name) => page.getByRole('group', { name, exact: true }).locator('tbody tr').evaluateAll((all) => all.map((row) => [...row.children].map((cell) => cell.innerText)));

  const range = async () => (await page.evaluate(() => [...document.querySelectorAll('input[type=date]')].map((input) => input.value)));
  const [from, to] = await range();
  const bounds = `timestamptz '${from} 00:00 Europe/Berlin', (date '${to}' + 1)::timestamp AT TIME ZONE 'Europe/Berlin'`;
  is((await cells('Credits by plan')).map(([plan, credits, users]) => [plan, digits(credits), users].join('|')),
    sql(`SELECT coalesce(name, key, 'no plan'), amount::float8, actors FROM activity.usage('acme', ${bounds})`).split('\n'), 'usage is the database\'s');
  is((await cells('Customers')).map(([who, spent, currency]) => [who, digits(spent), currency].join('|')).sort(),
    sql(`SELECT coalesce(name, key), amount::float8, currency FROM activity.top_customers('acme', ${bounds}, 20)`).split('\n').sort(), 'so are customers');
  is((await cells('Credits by member')).map(([who, credits, times]) => [who, digits(credits), digits(times)].join('|')),
    sql(`SELECT coalesce(name, key), amount::float8, events FROM activity.credits_by_member('acme', ${bounds}) WHERE key IS NOT NULL`).split('\n'), 'and members');
  is(digits(await page.locator('.fact', { hasText: 'Monthly recurring revenue, EUR' }).locator('dd').innerText()),
    sql("SELECT mrr::float8 FROM activity.mrr('acme', now()) WHERE currency = 'EUR'"), 'and recurring revenue');

  const over = page.locator('section', { has: page.getByRole('heading', { name: 'Credits over time' }) });
  await over.getByText('The same as a table').click();
  const credits = (await cells('Credits over time, table')).reduce((sum, row) => sum + Number(digits(row[1])), 0);
  is(credits, Number(sql(`SELECT sum(amount)::float8 FROM activity.usage('acme', ${bounds})`)), 'credits over time add up');
  is(await page.getByRole('img', { name: /^Revenue over time, EUR/ }).count(), 1, 'revenue has its plot');
  is(await page.getByRole('img', { name: /^Monthly recurring revenue over time, EUR/ }).count(), 1, 'and recurring revenue');

  await page.getByText('The same as a table').first().click();
  const timeline = async () => (await cells('Events over time')).flatMap((row) => row.slice(1).map((n) => Number(digits(n)))).reduce((sum, n) => sum + n, 0);
  is(await timeline(), Number(sql(`SELECT activity.feed_count('acme', since => ${bounds.replace(', (', ', until => (')})`)), 'the timeline has every event');
  await page.getByLabel('By', { exact: true }).selectOption('actor');
  await page.getByLabel('Time zone').selectOption('Pacific/Chatham');
  await page.getByLabel('Step').selectOption('week');
  await settle(page);
  ok(/zone=Pacific/.test(page.url()) && /by=actor/.test(page.url()) && /step=week/.test(page.url()), 'range, step and zone stand in the address');
  await until('weeks', async () => { await settle(page); return (await cells('Events over time')).length <= 6; });
  ok(await timeline() > 0, 'another zone and step');
  await page.reload();
  await settle(page);
  is(await page.getByLabel('Time zone').inputValue(), 'Pacific/Chatham', 'a reload keeps them');

  // A number leads to its events.
  await page.goto(`${gateway.url}/#/analytics`);
  await settle(page);
  // In Chatham the day is another one, so what stood there is not what is asked for now.
  const times = sql(`SELECT events FROM activity.credits_by_member('acme', ${bounds}) WHERE key = 'grace'`);
  await until('the days of here again', async () => digits((await cells('Credits by member')).find(([who]) => who === 'Grace Hopper')[2]) === times);
  await page.getByRole('group', { name: 'Credits by member' }).getByRole('row', { name: /Grace Hopper/ }).getByRole('link').nth(1).click();
  await page.getByRole('heading', { level: 1, name: 'Events' }).waitFor();
  await settle(page);
  await page.getByText(`${times} events`).first().waitFor();
  ok(true, 'a number is a link to as many events');
  await page.goBack();
  await settle(page);
  is(await page.getByRole('img', { name: /^Events over time/ }).count(), 1, 'a plot says what it shows');

  // A year, and nothing at all.
  await page.getByRole('button', { name: 'A year' }).click();
  await settle(page);
  await page.getByText('The same as a table').first().click();
  await until('months', async () => (await cells('Events over time')).length >= 12);
  await page.getByRole('textbox', { name: 'From', exact: true }).fill('2001-01-01');
  await page.getByRole('textbox', { name: 'To', exact: true }).fill('2001-02-01');
  await page.getByText('Nothing happened in this time').waitFor();
  ok(true, 'an empty range says so');
};

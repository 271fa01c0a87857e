// The feed: filters, pages, rows, exports; the address says all of it.
'use strict';
const fs = require('node:fs');

module.exports = async ({ ok, is, gateway, visit, sql, rows, settle, until }) => {
  const page = await visit.as('acme', 'ada');
  const shown = async () => {
    await settle(page);
    return rows(page).locator('td.action code').allInnerTexts();
  };
  const total = Number(sql("SELECT activity.feed_count('acme')"));
  await rows(page).first().waitFor();
  is((await shown()).length, 50, 'a page has 50 events');
  is(await page.getByRole('columnheader').allInnerTexts(), ['When', 'Who', 'Action', 'Description', 'Subject'], 'the columns');
  ok(await page.getByText(`of ${Math.ceil(total / 50)}, ${total} events`).isVisible(), 'the pager knows the total');
  is(await shown(), sql("SELECT event_type FROM activity.feed('acme')").split('\n'), 'the rows are the feed\'s');

  // Pages
  const first = await shown();
  await page.getByRole('button', { name: 'Older' }).click();
  await page.getByRole('spinbutton', { name: 'Page' }).and(page.locator('[value="2"], :focus, input')).first().waitFor();
  await until('the second page', async () => JSON.stringify(await shown()) !== JSON.stringify(first));
  const second = await shown();
  is(second, sql("SELECT event_type FROM activity.feed('acme', page_size => 100) OFFSET 50").split('\n'), 'the second page goes on where the first ended');
  const pasted = page.url();
  ok(/before=/.test(pasted), 'the cursor is in the address');
  await page.goBack();
  await until('the first page again', async () => JSON.stringify(await shown()) === JSON.stringify(first));
  await page.goForward();
  await until('the second page again', async () => JSON.stringify(await shown()) === JSON.stringify(second));
  await page.reload();
  await until('the second page after a reload', async () => JSON.stringify(await shown()) === JSON.stringify(second));
  ok(true, 'back, forward and reload show the same pages');
  const other = await visit.as('acme', 'grace');
  await other.goto(pasted);
  await until('a pasted address', async () => JSON.stringify(await rows(other).locator('td.action code').allInnerTexts()) === JSON.stringify(second));
  ok(true, 'a pasted address shows the same page to another member');
  const last = Math.ceil(total / 50);
  await page.getByRole('spinbutton', { name: 'Page' }).fill(String(last));
  await page.getByRole('spinbutton', { name: 'Page' }).press('Enter');
  await until('the last page', async () => (await shown()).length === (total % 50 || 50));
  ok(await page.getByRole('button', { name: 'Older' }).isDisabled(), 'a page can be jumped to, and the last one ends');

  // Filters
  await page.goto(`${gateway.url}/#/events`);
  await page.getByRole('button', { name: /^Type/ }).click();
  await page.getByRole('searchbox', { name: 'Find a type' }).fill('credit');
  const family = page.getByRole('group', { name: 'Event types' }).getByRole('checkbox', { name: 'credit.*' });
  const counted = (await page.getByRole('group', { name: 'Event types' }).locator('label', { hasText: 'credit.*' }).innerText()).match(/[\d,]+\s*$/)[0];
  await family.check();
  await page.keyboard.press('Escape');
  ok(await page.getByRole('button', { name: /^Type/ }).evaluate((button) => button === document.activeElement), 'Escape closes the choice and gives the focus back');
  await until('the family', async () => (await shown()).every((type) => type.startsWith('credit.')));
  const credits = Number(sql("SELECT activity.feed_count('acme', '{credit.*}')"));
  is(Number(counted.replaceAll(',', '')), credits, 'the family is shown with its count');
  ok(await page.getByText(`${credits} events`).first().isVisible(), 'and picks that many');

  await page.getByRole('searchbox', { name: 'Actor' }).fill('grace');
  await until('the actor', async () => new URL(page.url().replace('#/', '')).searchParams.get('actor') === 'grace');
  await until('her rows', async () => (await rows(page).locator('td.who').allInnerTexts()).every((who) => who === 'Grace Hopper') && await settle(page).then(() => true));
  is((await shown()).length, Math.min(50, Number(sql("SELECT activity.feed_count('acme', '{credit.*}', 'grace')"))), 'filters add up');
  await page.getByRole('button', { name: 'Clear' }).click();
  await until('no filters', async () => (await shown()).length === 50);

  // Searching keeps the old result until the new one is there.
  await page.route('**/activity?**search=**', async (route) => { await new Promise((resolve) => setTimeout(resolve, 400)); await route.continue().catch(() => {}); });
  await page.getByRole('searchbox', { name: 'Search' }).pressSequentially('invitation', { delay: 5 });
  await page.locator('[aria-busy=true]').waitFor();
  ok(await rows(page).count() === 50, 'the old rows stay while it searches');
  await until('the search', async () => (await rows(page).locator('td.description').allInnerTexts()).every((text) => /invitation/i.test(text)));
  await page.unroute('**/activity?**search=**');
  const history = await page.evaluate(() => window.history.length);
  await page.getByRole('searchbox', { name: 'Search' }).fill('nothing has this');
  await page.getByText('No event passes these filters').waitFor();
  is(await page.evaluate(() => window.history.length), history, 'typing does not fill the history');
  await page.getByRole('link', { name: 'Show all events' }).click();
  await until('all events', async () => (await shown()).length === 50);

  // A row
  const changed = sql("SELECT id FROM activity.feed('acme', '{membership.role_changed}', page_size => 1)");
  await page.goto(`${gateway.url}/#/events?type=membership.role_changed&open=${changed}`);
  const detail = page.locator('tr.detail');
  await detail.getByText('Position').waitFor();
  const place = sql(`SELECT "position" || ' ' || encode(hash, 'hex') FROM _activity.event_position('acme', '${changed}', now())`);
  await until('its place', async () => (await detail.innerText()).includes(place.split(' ')[1]));
  ok((await detail.innerText()).includes(place.split(' ')[0]), 'a row opens to position and hash');
  const changes = (await detail.getByRole('region', { name: 'Changes' }).locator('tbody tr').first().innerText()).split('\t');
  is(changes.map((text) => text.trim()), ['role', 'member', 'admin'], 'and to what was before and after');
  await visit.picture('event', page);
  await page.getByRole('button', { name: 'membership.role_changed', exact: true }).click();
  await detail.waitFor({ state: 'detached' });
  ok(!page.url().includes('open='), 'and closes');

  await page.goto(`${gateway.url}/#/events?page=999`);
  await page.getByText('There is nothing on this page').waitFor();
  ok(true, 'a page beyond the end says so');
  await page.goto(`${gateway.url}/#/nowhere`);
  await page.getByRole('heading', { name: 'There is no such page' }).waitFor();
  await page.goto(`${gateway.url}/#/events?type=no.such`);
  await page.getByText('This did not work').first().waitFor();
  ok(true, 'a filter that is none is explained');

  // Exports: of what is on screen, and of everything that passes the filters.
  const save = async (scope) => {
    await page.getByRole('button', { name: 'Export', exact: true }).click();
    const dialog = page.getByRole('dialog', { name: 'Export' });
    await dialog.getByRole('radio', { name: scope }).check();
    const [file] = await Promise.all([page.waitForEvent('download'), dialog.getByRole('button', { name: 'Export', exact: true }).click()]);
    await dialog.getByText('Saved activity.csv').waitFor();
    await dialog.getByRole('button', { name: 'Close' }).click();
    return fs.readFileSync(await file.path(), 'utf8').trimEnd().split('\r\n').slice(1);
  };
  await page.goto(`${gateway.url}/#/events?type=credit.*`);
  await until('credits', async () => (await shown()).every((type) => type.startsWith('credit.')));
  const whole = await save('Everything that passes');
  is(whole.length, credits, 'everything that passes the filters is exported');
  const described = () => rows(page).locator('td.description').allInnerTexts();
  // The rows of before stay until the new ones are there.
  const newest = JSON.stringify(await described());
  await page.getByRole('button', { name: 'Older' }).click();
  await until('the second page of credits', async () => /before=/.test(page.url()) && JSON.stringify(await described()) !== newest);
  await settle(page);
  const descriptions = await described();
  const screen = await save('What is on screen');
  is(screen.map((line) => line.split(',')[4].replaceAll('"', '')), descriptions, 'what is on screen is exported, no more and no less');
  is(sql("SELECT count(*) FROM activity.feed('acme', '{compliance.exported}') WHERE actor_id = 'ada'"), '2', 'each export is an event');
  await page.route('**/activity/export**', async (route) => { await new Promise((resolve) => setTimeout(resolve, 2000)); await route.continue().catch(() => {}); });
  await page.getByRole('button', { name: 'Export', exact: true }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Export', exact: true }).click();
  await page.getByRole('progressbar', { name: 'Export' }).waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  await page.getByText('Cancelled. Nothing was saved').waitFor();
  await page.keyboard.press('Escape');
  ok(true, 'an export can be cancelled');

  // Without a network, and back.
  await page.goto(`${gateway.url}/#/events`);
  await until('all events', async () => (await shown()).length === 50 && !(await shown()).every((type) => type.startsWith('credit.')));
  await settle(page);
  await page.context().setOffline(true);
  await page.getByRole('button', { name: 'Older' }).click();
  await page.getByText('No connection to the server').waitFor();
  ok(await rows(page).count() === 50, 'without a network the page stays, and says so');
  await visit.picture('offline', page);
  await page.context().setOffline(false);
  await until('the second page', async () => /before=/.test(page.url()) && (await shown()).length === 50 && !await page.getByText('No connection to the server').isVisible());
  ok(true, 'and goes on by itself');

  // By keyboard alone
  await page.goto(`${gateway.url}/#/events`);
  await page.reload();
  await until('all events', async () => (await shown()).length === 50);
  const focus = async (what) => {
    for (let n = 0; n < 300; n++) {
      await page.keyboard.press('Tab');
      const found = await page.evaluate(() => {
        const at = document.activeElement;
        return { tag: at.tagName, name: at.getAttribute('aria-label') ?? at.innerText, outline: getComputedStyle(at).outlineStyle };
      });
      if (found.tag !== 'BODY' && found.name?.trim().startsWith(what)) return found;
    }
    throw new Error(`the keyboard does not reach ${what}`);
  };
  is((await focus('Skip to the content')).outline, 'solid', 'the focus is seen');
  await page.keyboard.press('Enter');
  await focus((await shown())[0]);
  await page.keyboard.press('Enter');
  await page.locator('tr.detail').waitFor();
  ok(await page.evaluate(() => document.activeElement.getAttribute('aria-expanded')) === 'true', 'the keyboard opens a row, and the focus stays');
};

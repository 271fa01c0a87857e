// Getting in, staying in, being put out.
'use strict';

module.exports = async ({ ok, is, gateway, visit, link, sql, until, patience, view }) => {
  const page = await visit.as();
  const heading = (name) => page.getByRole('heading', { level: 1, name }).waitFor();

  await page.goto(gateway.url);
  await heading('Activity');
  ok(await page.getByText('open the activity page from the product').isVisible(), 'a stranger is told how to come in');

  const once = link('acme', 'ada');
  await page.goto(once);
  await heading('Events');
  ok(!page.url().includes('enter'), 'the code leaves the address');
  const [cookie] = await page.context().cookies();
  ok(cookie.httpOnly && cookie.sameSite === 'Strict', 'the session is a cookie that no script reads and no other page sends');
  const seen = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href, history.state]));
  ok(!seen.includes(cookie.value) && !seen.includes(once.split('/').at(-1)), 'neither code nor session is in the address, a storage, or within reach of a script');
  ok(!gateway.log.includes(cookie.value) && !gateway.log.includes(once.split('/').at(-1)), 'nor in the log');
  await page.reload();
  await heading('Events');
  ok(true, 'a reload stays in');

  const other = await visit.as();
  await other.goto(once);
  await other.getByRole('heading', { name: 'Your session has ended' }).waitFor();
  ok(await other.getByText('used already').isVisible(), 'the link works once, and says so');
  const late = link('acme', 'ada', '1 millisecond');
  await other.goto('about:blank');
  await other.goto(late);
  await other.getByText('its time is over').waitFor();
  ok(true, 'an expired link says so');

  // A foreign page has no header to write with.
  const written = await page.evaluate(async () => (await fetch('api/v1/session', { method: 'DELETE' })).status);
  is(written, 403, 'without the header nothing is written');

  await page.getByRole('button', { name: 'Sign out' }).click();
  await heading('You are signed out');
  ok((await page.context().cookies()).length === 0, 'signing out takes the cookie');
  await page.goto(`${gateway.url}/#/events`);
  await page.reload();
  await heading('Activity');
  ok(true, 'a reload stays out');

  // One cookie for all tabs: none goes on under a name that is not the session's.
  const tab = await visit.as('acme', 'ada');
  const second = await tab.context().newPage();
  await second.goto(link('acme', 'grace'));
  await second.getByRole('heading', { level: 1, name: 'Events' }).waitFor();
  await tab.getByRole('heading', { name: 'Another session has begun' }).waitFor();
  ok(true, 'a tab says that another one has come in as somebody else');
  await tab.getByRole('button', { name: 'Go on as grace' }).click();
  await tab.getByRole('heading', { level: 1, name: 'Events' }).waitFor();
  ok(await tab.locator('.account').getByText('grace').isVisible(), 'and goes on as that');
  await second.goto('about:blank');
  await second.goto(link('evil', 'mallory'));
  await tab.getByText('mallory of evil').waitFor();
  ok(true, 'of another organization, too');
  await tab.getByRole('button', { name: 'Go on as mallory' }).click();
  await second.getByRole('button', { name: 'Sign out' }).click();
  await tab.getByRole('heading', { name: 'Your session has ended' }).waitFor();
  ok(!await tab.getByText('token').isVisible(), 'who leaves in one tab has left in all, and no tab speaks of tokens');

  // The membership ends while somebody looks.
  const bob = await visit.as('acme', 'bob');
  await bob.locator('.live.live').waitFor();
  sql("DELETE FROM memberships WHERE user_id = 'bob'");
  await bob.locator('.live.ended').waitFor();
  ok(true, 'the live view ends with the membership');
  await bob.getByRole('searchbox', { name: 'Search' }).fill('x');
  await bob.getByText('you are no active member').waitFor();
  ok(true, 'and so does reading');
  await view(bob, 'Realtime');
  await bob.locator('.live.ended').waitFor();
  ok(await bob.locator('.live.ended').getByText('no active member').count() === 1, 'a stream that is refused has ended, too, and says why');
  sql("INSERT INTO memberships VALUES ('acme', 'bob', 'Bob', 'member')");

  // So does the tier.
  const quentin = await visit.as('quiet', 'quentin');
  sql("SELECT activity.set_tier('quiet', 'free')");
  await quentin.reload();
  await quentin.getByText('Not part of this plan').first().waitFor();
  ok(await quentin.getByText('It begins with tier premium').first().isVisible(), 'a tier that is too low says what to do');
  await visit.picture('tier');
  sql("SELECT activity.set_tier('quiet', 'enterprise')");

  const framed = await fetch(`${gateway.url}/`);
  ok(/frame-ancestors 'none'/.test(framed.headers.get('content-security-policy')), 'nobody frames it unless allowed');
  ok(!/unsafe/.test(framed.headers.get('content-security-policy')), 'the policy allows nothing unsafe');
};

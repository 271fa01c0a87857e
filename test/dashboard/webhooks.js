// Endpoints from the first to the last: made, tested, failing, tried again, rotated, gone.
'use strict';

module.exports = async ({ ok, is, visit, sql, view, rows, settle, until, receiver }) => {
  const hook = await receiver();
  const page = await visit.as('acme', 'ada');
  const state = async () => { await settle(page); return page.locator('dl.facts .badge').first().innerText(); };
  await view(page, 'Webhooks');
  await page.getByText('No endpoint yet').waitFor();
  await page.getByRole('button', { name: 'Add an endpoint' }).click();
  const form = page.getByRole('dialog', { name: 'Add an endpoint' });
  await form.getByLabel('URL').fill('https://10.0.0.1/hook');
  await form.getByRole('button', { name: 'Add', exact: true }).click();
  await form.getByRole('alert').waitFor();
  ok(/10\.0\.0\.1|private|public/.test(await form.getByRole('alert').innerText()), 'a url that is refused is explained');
  await form.getByLabel('URL').fill(hook.url);
  await form.getByLabel('Description').fill('ours');
  await form.getByRole('button', { name: /^Type/ }).click();
  await form.getByRole('checkbox', { name: /^order\.\*/ }).check();
  await page.keyboard.press('Escape');
  await form.getByRole('button', { name: 'Add', exact: true }).click();
  const shown = page.getByRole('dialog', { name: 'The endpoint\'s secret' });
  const secret = (await shown.locator('pre').innerText()).trim();
  ok(/^whsec_/.test(secret), 'the secret is shown once');
  await shown.getByRole('button', { name: 'Close' }).click();
  await page.getByRole('link', { name: hook.url }).click();
  await page.getByRole('heading', { level: 1, name: 'Endpoint' }).waitFor();
  is(await state(), 'active', 'the endpoint and its state');
  ok(await page.getByText(`whsec_…${secret.slice(-4)}`).isVisible(), 'with the end of its secret alone');

  await page.getByRole('button', { name: 'Send a test' }).click();
  await until('the test arrives', () => hook.requests.length === 1);
  is(JSON.parse(hook.requests[0].body).type, 'webhook.test', 'a test is sent');
  is(sql(`SELECT activity.verify_webhook_signature($j$${JSON.stringify(hook.requests[0].headers)}$j$, $b$${hook.requests[0].body}$b$, '${secret}')`), 't', 'and signed');
  hook.status = 500;
  hook.body = '<script>window.planted = 1</script>';
  sql("INSERT INTO orders (organization_id, amount) VALUES ('acme', 7); SELECT activity.publish()");
  await until('it fails', () => hook.requests.length >= 2);
  const refreshed = async (words) => {
    await until(words, async () => {
      await page.getByRole('button', { name: 'Refresh' }).click();
      await settle(page);
      return (await rows(page, 'Deliveries').first().innerText()).includes(words);
    });
  };
  await refreshed('500');
  await rows(page, 'Deliveries').first().getByRole('link', { name: 'order.created' }).click();
  await page.getByRole('heading', { level: 1, name: 'Delivery' }).waitFor();
  await page.getByRole('group', { name: 'Attempts' }).waitFor();
  ok((await page.getByRole('group', { name: 'Attempts' }).innerText()).includes('<script>'), 'the answer is shown, as text');
  ok((await page.getByRole('group', { name: 'Payload' }).innerText()).includes('"order.created"'), 'and what was sent');
  is(await page.evaluate(() => window.planted), undefined, 'nothing of it runs');
  await visit.picture('delivery');
  hook.status = 200;
  const tried = hook.requests.length;
  await page.getByRole('button', { name: 'Retry order.created' }).click();
  await until('it is sent again', () => hook.requests.length > tried);
  await page.getByRole('link', { name: 'The endpoint' }).click();
  await refreshed('delivered');
  ok(true, 'a retry delivers it');
  await page.getByLabel('State of deliveries').selectOption('dead');
  await page.getByText('No delivery is in this state').waitFor();
  ok(/status=dead/.test(page.url()), 'deliveries are filtered by state');
  await page.getByLabel('State of deliveries').selectOption('');

  await page.getByRole('button', { name: 'Replay' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Replay' }).click();
  await page.getByText(/\d+ deliveries will be sent/).first().waitFor();
  ok(true, 'a replay says how many it sends');
  await page.getByRole('button', { name: 'Switch off' }).click();
  await until('off', async () => await state() === 'disabled');
  await page.getByRole('button', { name: 'Switch on' }).click();
  await until('on', async () => await state() === 'active');
  ok(true, 'it is switched off and on');
  await page.getByRole('button', { name: 'Rotate the secret' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Rotate', exact: true }).click();
  const renewed = page.getByRole('dialog', { name: 'The endpoint\'s new secret' });
  ok((await renewed.locator('pre').innerText()).trim() !== secret, 'rotating shows a new secret');
  await renewed.getByRole('button', { name: 'Close' }).click();

  // A member who is no admin looks on.
  const grace = await visit.as('acme', 'bob');
  await view(grace, 'Webhooks');
  await grace.getByText('takes an admin').waitFor();
  await grace.getByRole('link', { name: hook.url }).click();
  await grace.getByRole('heading', { name: 'Deliveries' }).waitFor();
  is(await grace.getByRole('button', { name: /Retry|Delete|Rotate|Add|Send/ }).count(), 0, 'a member sees, and changes nothing');

  await page.bringToFront();
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await visit.picture('delete', page);
  await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByText('No endpoint yet').waitFor();
  ok(true, 'deleted, it is gone');
  hook.close();
};

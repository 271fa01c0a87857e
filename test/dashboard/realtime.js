// Connection secrets: shown once, rotated, revoked; one's own and nobody else's.
'use strict';

module.exports = async ({ ok, is, visit, sql, view, settle, until }) => {
  const page = await visit.as('acme', 'ada');
  const table = page.getByRole('group', { name: 'Connection secrets' });
  await view(page, 'Realtime');
  await page.getByText('You have no secret yet').waitFor();
  ok(await page.getByText('$SECRET').isVisible(), 'a guide to connect stands there, without a secret');
  await page.getByLabel('Label of a new secret').fill('laptop');
  await page.getByRole('button', { name: 'Make a secret' }).click();
  const dialog = page.getByRole('dialog', { name: 'Your secret' });
  const secret = (await dialog.locator('pre').innerText()).trim();
  ok(/^wss_/.test(secret), 'a new one is shown');
  is(sql(`SELECT member FROM activity.authenticate_connection('${secret}')`), 'ada', 'and works');
  await visit.picture('secret');
  await dialog.getByRole('button', { name: 'Close' }).click();
  await until('it is gone', async () => !(await page.content()).includes(secret));
  ok(true, 'once');
  await table.getByText(`…${secret.slice(-4)}`).waitFor();
  await table.getByRole('button', { name: 'Rotate laptop' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Rotate', exact: true }).click();
  const rotated = (await dialog.locator('pre').innerText()).trim();
  ok(rotated !== secret && /^wss_/.test(rotated), 'rotating shows another');
  await dialog.getByRole('button', { name: 'Close' }).click();
  await table.getByText(`…${rotated.slice(-4)}`).waitFor();
  await table.getByRole('button', { name: 'Revoke laptop' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke', exact: true }).click();
  await table.getByText('revoked').waitFor();
  is(sql("SELECT count(*) FROM activity.connections WHERE organization = 'acme' AND status = 'active'"), '0', 'revoking ends it');
  const grace = await visit.as('acme', 'grace');
  await view(grace, 'Realtime');
  await grace.getByText('You have no secret yet').waitFor();
  ok(true, 'another member does not see it');
};

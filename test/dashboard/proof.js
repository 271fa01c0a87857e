// Verifying, from the page: a clean chain, a broken one, holds and redactions.
'use strict';

module.exports = async ({ ok, is, visit, sql, view, settle, until }) => {
  sql(`BEGIN; SELECT activity.set_actor('quentin', name => 'Quentin');
    SELECT count(activity.record('quiet', 'auth.signin')) FROM generate_series(1, 20); COMMIT; SELECT activity.publish()`);
  const page = await visit.as('quiet', 'quentin');
  await view(page, 'Proof');
  await page.getByRole('button', { name: 'Verify the chain' }).click();
  const head = Number(sql("SELECT position FROM activity.stream_head('quiet')"));
  await page.getByText(new RegExp(`up to position ${head} verified`)).waitFor();
  ok(true, 'a chain that nobody touched is verified');
  const kept = JSON.parse(await page.locator('pre[aria-label=Checkpoint]').innerText());
  is([kept.organization, kept.position, kept.hash], ['quiet', head, sql("SELECT encode(hash, 'hex') FROM activity.checkpoint('quiet')")], 'the checkpoint is the database\'s');
  await page.getByText('Nothing is held').waitFor();

  const hold = sql("SELECT activity.place_hold('quiet', 'case <b>17</b>', actor => 'quentin')");
  sql("SELECT activity.redact('quiet', (SELECT id FROM activity.feed('quiet', '{auth.signin}', page_size => 1)), 'asked for') WHERE activity.release_hold('" + hold + "', 'over') IS NOT NULL");
  await page.reload();
  await page.getByRole('region', { name: 'Holds' }).getByText('case <b>17</b>').waitFor();
  ok((await page.getByRole('region', { name: 'Holds' }).innerText()).includes('quentin'), 'holds are listed, as text');
  await page.getByRole('region', { name: 'Redactions' }).getByText('asked for').waitFor();
  ok(true, 'and so are redactions');
  await visit.picture('proof');

  // Somebody with all rights on the database changes what happened.
  const changed = Number(sql(`ALTER TABLE _activity.event DISABLE TRIGGER append_only;
    WITH changed AS (UPDATE _activity.event SET occurred_at = occurred_at + interval '1 hour' WHERE id = (SELECT id FROM activity.feed('quiet', '{auth.signin}') OFFSET 3 LIMIT 1) RETURNING 1) SELECT count(*) FROM changed;
    ALTER TABLE _activity.event ENABLE TRIGGER append_only`));
  is(changed, 1, 'an event is forged');
  await page.getByRole('button', { name: 'Verify the chain' }).click();
  await page.getByRole('alert').getByText(/problem/).first().waitFor();
  ok(await page.getByRole('group', { name: 'Problems' }).locator('tbody tr').count() >= 1, 'a change is found, and where');
  await visit.picture('broken');

  // A long one is cancelled.
  await page.route('**/activity/verify', async (route) => { await new Promise((resolve) => setTimeout(resolve, 3000)); await route.continue().catch(() => {}); });
  await page.getByRole('button', { name: 'Verify the chain' }).click();
  await page.getByRole('progressbar', { name: 'Verification' }).waitFor();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByText('Cancelled').waitFor();
  ok(true, 'and can be cancelled while it runs');

  const member = await visit.as('acme', 'bob');
  await view(member, 'Proof');
  await member.getByText('shown to admins').waitFor();
  ok(true, 'a member sees no holds');
};

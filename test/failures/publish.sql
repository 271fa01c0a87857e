-- A failure at :step, where an event gets its position.
SELECT plant(:'step', 'bad') \g /dev/null
SELECT streamed('bad') AS bad, streamed('good') AS good \gset before_
CALL record_some();
SELECT activity.publish() \g /dev/null
SELECT is(streamed('good'), :before_good + 2::bigint, :'step' || ': the others are published');
SELECT is(streamed('bad'), :before_bad::bigint, :'step' || ': the one is not');
SELECT results_eq('TABLE aside', $$VALUES ('publish', 'bad', 2::bigint, '22000', 1)$$, :'step' || ': its events are set aside');
SELECT is((SELECT set_aside FROM activity.health), 2::bigint, :'step' || ': health counts them');
SELECT plant('', '') \g /dev/null
CALL record_some();
SELECT activity.publish() \g /dev/null
SELECT is(streamed('bad'), :before_bad + 2::bigint, :'step' || ': later ones are published');
CALL wait();
SELECT activity.publish() \g /dev/null
SELECT is(streamed('bad'), :before_bad + 4::bigint, :'step' || ': then these, too');
SELECT is_empty('TABLE aside', :'step' || ': nothing is left');

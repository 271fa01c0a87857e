-- A failure at the part :step of the upkeep: the others are done.
SELECT plant(:'step', '') \g /dev/null
SELECT count(*) AS skipped FROM activity.maintain() WHERE action = 'skip' AND object ~ ('^' || :'step' || ': planted') \gset
SELECT is(:skipped, 1, :'step' || ': maintain() tells it');
SELECT results_eq('SELECT item FROM activity.set_aside', ARRAY[:'step'], :'step' || ': it is set aside');
SELECT plant('', '') \g /dev/null
SELECT activity.maintain() \g /dev/null
SELECT is_empty('TABLE aside', :'step' || ': nothing is left');

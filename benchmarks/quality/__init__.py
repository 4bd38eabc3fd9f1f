"""How well the default detector tells anomalous pictures: one table over data sets and seeds.

``protocols`` says which pictures, ``rows`` what is fitted on them and what is wanted, ``measure``
gives one result, with scores of ``baselines`` and ``singles`` beside it; ``kept`` holds results
between calls, ``run`` measures what is not there yet, ``figures`` and ``rates`` sum up, ``page``
writes the tables.
"""

"""The Region Proposal Network (Ren et al. 2015, arXiv 1506.01497). Needs PyTorch, except the two files of settings.

Read in this order; ``docs/paper.md`` leads from each statement of the paper to its place:

1. ``settings``: every number. 2. ``anchors``. 3. ``box_coder``: equation 2. 4. ``matching``: positive and negative
anchors (``plain_match`` is the rule as it is written). 5. ``sampling``: 256 anchors of an image. 6. ``losses`` and
``faster_rcnn_loss``: equation 1. 7. ``heads`` and ``backbones``. 8. ``network``: forward, anchors, propose.
9. ``criterion``: network, ground truth and objective together. 10. ``selection``: decode, clip, top-k, NMS
(``objectness.boxes.plain_nms`` is the rule as it is written).

Beside them: ``targets`` and ``outputs`` (values), ``checkpoint``, ``renamed_weights``, ``backbone_weights``, and
``matching_index``, which makes matching quick. ``extensions`` came after the paper: no file above imports one, except
``settings``; ``network`` and ``criterion`` hand them in.

To add a sampler: a ``Sampler`` (see ``sampling``) in a file of ``extensions``, a ``case`` in ``criterion.sampler_of``,
its name in ``SampleSettings.sampler``. A rule of matching: likewise a ``Matcher``, ``criterion.matcher_of``,
``MatchSettings.assigner``.

To add an objective: an ``Objective`` (see ``criterion``) in a file of ``extensions``, a ``case`` in
``criterion.objective_of``, its name in ``LossSettings.objective``. It skips anchors that are not ``valid`` and returns
the positives that it chose: the criterion trains localization quality on them.

To add a head: a module with the forward method of ``heads.RPNHead``, chosen where ``network`` builds ``self.head``, and
a setting in ``HeadSettings`` that names it. A further output is a field of ``outputs.Outputs``; export takes it along.
"""

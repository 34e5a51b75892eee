"""The Region Proposal Network (Ren et al. 2015, arXiv 1506.01497). Needs PyTorch, except the two files of settings.

Read in this order; ``docs/paper.md`` leads from each statement of the paper to its place:

1. ``settings``: every number. 2. ``anchors``. 3. ``box_coder``: equation 2. 4. ``matching``: positive and negative
anchors (``plain_match`` is the rule as it is written). 5. ``sampling``: 256 anchors of an image. 6. ``losses`` and
``faster_rcnn_loss``: equation 1. 7. ``heads`` and ``backbones``. 8. ``network``: forward, anchors, propose.
9. ``criterion``: network, ground truth and objective together. 10. ``selection``: decode, clip, top-k, NMS
(``objectness.boxes.plain_nms`` is the rule as it is written).

Beside them: ``targets`` and ``outputs`` (values), ``reach`` (how far a cell sees), ``checkpoint``,
``renamed_weights``, ``backbone_weights``, and ``matching_index``, which makes matching quick. ``extensions`` came
after the paper: only ``settings``, ``network`` and ``criterion`` import them, and hand them to the others.

CONTRIBUTING.md tells where a sampler, a rule of matching, an objective, a head or a backbone is added.
"""

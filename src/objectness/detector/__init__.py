"""Fast R-CNN on the feature maps of a Region Proposal Network (Girshick 2015, 1504.08083). Needs PyTorch.

Read in this order: 1. ``settings``: every number, free of PyTorch. 2. ``pooling``: features of a box. 3. ``heads``:
layers on them. 4. ``network``: the whole Faster R-CNN; forward, classify, detect. 5. ``sampling``: 128 RoIs of an
image. 6. ``losses``. 7. ``criterion``: network, proposals and ground truth together. Beside them: ``checkpoint``.

Pooling, box coder, predictor and the selection of detections are torchvision's, stand-alone on our levels.
"""

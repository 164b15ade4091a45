"""An example of the YAML of `import onnx`, which its `--help` shows: nothing is imported for it."""

EXAMPLE = """\
keypoints: [nose, left_ear, right_ear, tail]   # in the order of the heatmaps
skeleton: [[nose, tail]]                       # may be left out
input: {width: 256, height: 256, channels: 3, mean: [123.7, 116.3, 103.5], std: [58.4, 57.1, 57.4]}
decode: {stride: 4, activation: sigmoid}       # input pixels in one of a heatmap; or softmax, none
maps: heatmap                                  # the output with the heatmaps; may be left out if there is one
image: input                                   # the network's input; may be left out if there is one
layout: NCHW                                   # or NHWC, of input and outputs
# locref: offsets                              # an output with offsets, with `decode.decoder: argmax_locref`
"""

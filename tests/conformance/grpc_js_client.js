// Asks each service of the server at argv[2] about the ids in argv[4], with the .proto files in argv[3]; prints JSON.
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [address, protos, asked] = process.argv.slice(2);
const files = ["clv", "propensity", "segmentation", "recommender", "pricing", "models"];
const definition = loader.loadSync(
  files.map((name) => `shopsphere/v1/${name}.proto`),
  { includeDirs: [protos], keepCase: true, longs: Number, enums: String, defaults: true },
);
const v1 = grpc.loadPackageDefinition(definition).shopsphere.v1;
const deadline = () => new Date(Date.now() + 30000);

function call(service, method, request, options) {
  const client = new v1[service](address, grpc.credentials.createInsecure());
  return new Promise((resolve) => {
    client[method](request, new grpc.Metadata(), { deadline: deadline(), ...options }, (error, answer) => {
      client.close();
      const details = error && error.metadata.get("grpc-status-details-bin")[0];
      resolve(error ? { code: error.code, details: error.details, status: details && details.toString("base64") } : answer);
    });
  });
}

async function main() {
  const { answers, refused } = JSON.parse(asked);
  const told = { answers: [], refused: await call(...refused) };
  for (const question of answers) told.answers.push(await call(...question));
  told.late = await call(...answers[0], { deadline: new Date(Date.now() - 1000) });
  console.log(JSON.stringify(told));
}

main();

// An invocation as code for AWS's clients and for plain HTTP. Each snippet holds for any JSON.

import { BASE } from "./api.js";
import { messages } from "./messages.js";
import { NEEDS_KEY, curlSnippet, printableJson } from "./snippet.js";

const REGION = "ap-northeast-2";

/** Code for each tab; `endpoint` is its name, `body` the parsed JSON. */
export function invokeSnippets({ endpoint, body, streaming }) {
  const container = `${BASE}/invocations`;
  return {
    boto3: boto3Snippet(endpoint, body, streaming),
    aws: awsSnippet(endpoint, body, streaming),
    curl: streaming ? curlStreamSnippet(container, body) : curlSnippet(`${BASE}/endpoints/${endpoint}/invocations`, { body }),
    requests: requestsSnippet(streaming ? container : `${BASE}/endpoints/${endpoint}/invocations`, body, streaming),
  };
}

/** A JSON value as a Python literal. */
function pythonLiteral(value, indent = "") {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return printableJson(value);
  const inner = `${indent}    `;
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const items = Array.isArray(value)
    ? value.map((item) => pythonLiteral(item, inner))
    : Object.entries(value).map(([key, item]) => `${printableJson(key)}: ${pythonLiteral(item, inner)}`);
  return items.length === 0 ? open + close : `${open}\n${items.map((item) => `${inner}${item},\n`).join("")}${indent}${close}`;
}

function boto3Snippet(endpoint, body, streaming) {
  const key = NEEDS_KEY ? 'os.environ["SSANG_API_KEY"]' : '"unused"';
  const call = streaming
    ? `response = client.invoke_endpoint_with_response_stream(
    EndpointName="${endpoint}",
    ContentType="application/json",
    Accept="application/jsonlines",
    Body=json.dumps(payload),
)
for event in response["Body"]:
    print(event["PayloadPart"]["Bytes"].decode(errors="replace"), end="")`
    : `response = client.invoke_endpoint(
    EndpointName="${endpoint}",
    ContentType="application/json",
    Body=json.dumps(payload),
)
print(json.load(response["Body"]))`;
  return `import json
${NEEDS_KEY ? "import os\n" : ""}
import boto3

client = boto3.client(
    "sagemaker-runtime",
    endpoint_url="${BASE}",
    region_name="${REGION}",
    aws_access_key_id=${key},
    aws_secret_access_key="unused",
)
payload = ${pythonLiteral(body)}
${call}`;
}

function awsSnippet(endpoint, body, streaming) {
  const key = NEEDS_KEY ? '"$SSANG_API_KEY"' : "unused";
  const note = streaming ? `# ${messages.invoke.cli_stream}\n` : "";
  return `${note}cat > body.json <<'JSON'
${printableJson(body, 2)}
JSON
AWS_ACCESS_KEY_ID=${key} AWS_SECRET_ACCESS_KEY=unused \\
aws sagemaker-runtime invoke-endpoint \\
  --endpoint-url '${BASE}' --region ${REGION} \\
  --endpoint-name ${endpoint} \\
  --content-type application/json \\
  --body fileb://body.json \\
  output.json
cat output.json`;
}

function curlStreamSnippet(url, body) {
  return curlSnippet(url, { body }).replace("curl -sS ", "curl -sSN -H 'Accept: application/jsonlines' ");
}

function requestsSnippet(url, body, streaming) {
  const headers = [
    ...(NEEDS_KEY ? ['"X-API-Key": os.environ["SSANG_API_KEY"]'] : []),
    ...(streaming ? ['"Accept": "application/jsonlines"'] : []),
  ];
  const options = [
    `"${url}"`,
    "json=payload",
    ...(headers.length > 0 ? [`headers={${headers.join(", ")}}`] : []),
    ...(streaming ? ["stream=True"] : []),
    "timeout=60",
  ];
  const printing = streaming
    ? "for line in response.iter_lines():\n    print(line.decode())"
    : "print(response.json())";
  return `${NEEDS_KEY ? "import os\n\n" : ""}import requests

payload = ${pythonLiteral(body)}
response = requests.post(
${options.map((option) => `    ${option},\n`).join("")})
response.raise_for_status()
${printing}`;
}

"use strict";
// Lets a published acquisition SDK do what an app does with it, over real HTTP.
//
// {"sdk": package, "configuration": {...}, "call": [method, ...]}; a method is one of
// AcquisitionManager's, or "download" with a URL and a file to write.

const fs = require("fs");
const http = require("http");
const path = require("path");

const VERBS = ["GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT", "PATCH"];
const TIMEOUT_MS = 20000;

function send(verb, url, headers, body, done) {
  const request = http.request(url, { method: verb, headers, timeout: TIMEOUT_MS }, (response) => {
    const chunks = [];
    response.on("data", (chunk) => chunks.push(chunk));
    response.on("error", done);
    response.on("end", () => done(null, response, Buffer.concat(chunks)));
  });
  request.on("timeout", () => request.destroy(new Error(`no answer from ${url}`)));
  request.on("error", done);
  request.end(body);
}

// As request-fetch-adapter.js of react-native-code-push does.
const requester = {
  request(verb, url, body, callback) {
    if (typeof body === "function") {
      callback = body;
      body = undefined;
    }
    const headers = {
      Accept: "application/json",
      "Content-Type": "application/json",
      "X-CodePush-Plugin-Name": "react-native-code-push",
      "X-CodePush-Plugin-Version": "9.0.1",
      "X-CodePush-SDK-Version": "4.2.3",
    };
    send(VERBS[verb], url, headers, body, (error, response, bytes) => {
      if (error) return callback(error, null);
      callback(null, { statusCode: response.statusCode, body: bytes.toString("utf8") });
    });
  },
};

// As CodePushUpdateManager.java does: the true length or nothing, and the bytes as they are.
function download(url, file, done) {
  send("GET", url, { "Accept-Encoding": "identity" }, undefined, (error, response, bytes) => {
    if (error) return done(error);
    if (response.statusCode !== 200) return done(new Error(`${response.statusCode}: ${bytes}`));
    const promised = response.headers["content-length"];
    if (promised !== String(bytes.length)) {
      return done(new Error(`Received ${bytes.length} bytes, expected ${promised}`));
    }
    if (response.headers["content-encoding"]) return done(new Error("the bytes are encoded"));
    fs.writeFileSync(file, bytes);
    done(null, { bytes: bytes.length, isZip: bytes.subarray(0, 4).toString("hex") === "504b0304" });
  });
}

module.exports = ({ sdk, configuration, call }) =>
  new Promise((resolve, reject) => {
    // Apps load this file alone, too.
    const { AcquisitionManager } = require(path.join(sdk, "script", "acquisition-sdk"));
    const done = (error, value) => (error ? reject(error) : resolve(value));
    const [method, ...values] = call;
    if (method === "download") download(...values, done);
    else new AcquisitionManager(requester, configuration)[method](...values, done);
  });

"use strict";
// Makes a call of a published management SDK.
//
// {"sdk": package, "serverUrl": ..., "accessKey": ..., "call": [method, ...arguments]}

module.exports = ({ sdk, serverUrl, accessKey, call }) => {
  const AccountManager = require(sdk);
  const [method, ...values] = call;
  return new AccountManager(accessKey, {}, serverUrl)[method](...values);
};

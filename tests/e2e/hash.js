"use strict";
// Computes the package hash of a folder with the code by which code-push-cli signs: not ours.
//
// {"folder": path}

const hashUtils = require("code-push-cli/script/hash-utils");

module.exports = ({ folder }) => hashUtils.generatePackageHashFromDirectory(folder, folder);

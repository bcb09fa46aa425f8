"""A CodePush server: over-the-air updates for React Native and Cordova apps."""

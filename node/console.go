package node

// UserFile is the name of the accounts' file in the data folder.
const UserFile = userFile

// The server on Azure Container Apps: web and worker, Azure Managed Redis, and Blob Storage that is
// reached with a managed identity. See docs/deploying.md.
//
//   az group create --name "$GROUP" --location westeurope
//   secret() { az keyvault secret show --vault-name "$VAULT" --name "$1" --query value --output tsv; }
//   az deployment group create --resource-group "$GROUP" --template-file deploy/azure/main.bicep \
//     --parameters image=myregistry.azurecr.io/codepush-server:1 registry=myregistry \
//                  secretKey="$(secret secret-key)" metricsToken="$(secret metrics-token)"
//   az containerapp job start --resource-group "$GROUP" --name codepush-migrate
//
// Once the server has a host name of its own, each deployment also gives hostName and certificateId:
// Azure takes a domain away that a deployment does not name.

@description('Region of everything.')
param location string = resourceGroup().location

@description('Begins the names of everything; letters and digits, 3 to 11 of them.')
@minLength(3)
@maxLength(11)
param name string = 'codepush'

@description('Image of the server, in the registry below or in one that gives it out without a password.')
param image string

@description('Name of the Azure Container Registry, in this resource group, that the identity may pull from; empty for none.')
param registry string = ''

@description('Host name of your own that the server answers at, too; empty for none.')
param hostName string = ''

@description('Resource id of the certificate for that host name; empty while there is none.')
param certificateId string = ''

@description('URL that devices and people reach the server at; empty for that host name, or else the one that Azure makes.')
param publicUrl string = ''

@description('What the server encrypts secrets with. Keep it: what was encrypted is lost without it.')
@secure()
@minLength(32)
param secretKey string

@description('Token for GET /metrics.')
@secure()
@minLength(16)
param metricsToken string

@description('Web containers at least and at most.')
param minReplicas int = 2
param maxReplicas int = 10

@description('Size of Azure Managed Redis.')
param redisSku string = 'Balanced_B1'

// Storage accounts and Container Apps take lower case only.
var prefix = toLower(name)
var unique = uniqueString(resourceGroup().id)
var storageName = take('${prefix}${unique}', 24)
var containerName = 'packages'
var blobContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
var blobDelegator = 'db58b8e5-c6ad-4a2a-8342-4190687cbf4a'
var acrPull = '7f951dda-4ed3-4680-a7ca-43fe172d538d'

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: prefix
  location: location
}

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: storageName
  location: location
  kind: 'StorageV2'
  sku: {
    name: 'Standard_ZRS'
  }
  properties: {
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {
  parent: storage
  name: 'default'
  properties: {
    deleteRetentionPolicy: {
      enabled: true
      days: 7
    }
  }
}

resource packages 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: containerName
}

// To read and write packages.
resource contributor 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(storage.id, identity.id, blobContributor)
  scope: storage
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobContributor)
  }
}

// To sign the URLs that devices download from.
resource delegator 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(storage.id, identity.id, blobDelegator)
  scope: storage
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDelegator)
  }
}

resource acr 'Microsoft.ContainerRegistry/registries@2023-07-01' existing = if (!empty(registry)) {
  name: empty(registry) ? 'unused' : registry
}

// To pull the image.
resource puller 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(registry)) {
  name: guid(resourceGroup().id, registry, identity.id, acrPull)
  scope: acr
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', acrPull)
  }
}

resource redis 'Microsoft.Cache/redisEnterprise@2025-04-01' = {
  name: '${prefix}-${unique}'
  location: location
  sku: {
    name: redisSku
  }
  properties: {
    minimumTlsVersion: '1.2'
    highAvailability: 'Enabled'
  }
}

resource database 'Microsoft.Cache/redisEnterprise/databases@2025-04-01' = {
  parent: redis
  name: 'default'
  properties: {
    clientProtocol: 'Encrypted'
    // One endpoint: the server and its queue of jobs need no cluster client.
    clusteringPolicy: 'NoCluster'
    evictionPolicy: 'NoEviction'
    port: 10000
    persistence: {
      aofEnabled: true
      aofFrequency: '1s'
    }
    accessKeysAuthentication: 'Enabled'
  }
}

resource logs 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: prefix
  location: location
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: 30
  }
}

resource environment 'Microsoft.App/managedEnvironments@2024-03-01' = {
  name: prefix
  location: location
  properties: {
    appLogsConfiguration: {
      destination: 'log-analytics'
      logAnalyticsConfiguration: {
        customerId: logs.properties.customerId
        sharedKey: logs.listKeys().primarySharedKey
      }
    }
  }
}

// A key is base64: its / would end the host, so the URL holds it percent-encoded.
var redisUrl = 'rediss://:${uriComponent(database.listKeys().primaryKey)}@${redis.properties.hostName}:10000/0'
var azureUrl = 'https://${prefix}-web.${environment.properties.defaultDomain}'
// Without its certificate, nobody can use the host name.
var ownUrl = (empty(hostName) || empty(certificateId)) ? azureUrl : 'https://${hostName}'
var webUrl = empty(publicUrl) ? ownUrl : publicUrl

var customDomains = empty(hostName) ? [] : [
  {
    name: hostName
    certificateId: empty(certificateId) ? null : certificateId
    bindingType: empty(certificateId) ? 'Disabled' : 'SniEnabled'
  }
]

var registries = empty(registry) ? [] : [
  {
    server: '${registry}.azurecr.io'
    identity: identity.id
  }
]

var secrets = [
  {
    name: 'redis-url'
    value: redisUrl
  }
  {
    name: 'secret-key'
    value: secretKey
  }
  {
    name: 'metrics-token'
    value: metricsToken
  }
]

var settings = [
  {
    name: 'CODEPUSH_ENV'
    value: 'production'
  }
  {
    name: 'PUBLIC_URL'
    value: webUrl
  }
  {
    name: 'TRUSTED_PROXIES'
    value: '1'
  }
  {
    name: 'REDIS_URL'
    secretRef: 'redis-url'
  }
  {
    name: 'SECRET_KEY'
    secretRef: 'secret-key'
  }
  {
    name: 'METRICS_TOKEN'
    secretRef: 'metrics-token'
  }
  {
    name: 'STORAGE_URL'
    value: 'azure://${storage.name}/${containerName}'
  }
  {
    // Which identity DefaultAzureCredential takes.
    name: 'AZURE_CLIENT_ID'
    value: identity.properties.clientId
  }
]

resource web 'Microsoft.App/containerApps@2024-03-01' = {
  name: '${prefix}-web'
  location: location
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    managedEnvironmentId: environment.id
    configuration: {
      secrets: secrets
      registries: registries
      ingress: {
        external: true
        targetPort: 3000
        transport: 'http'
        allowInsecure: false
        customDomains: customDomains
      }
    }
    template: {
      terminationGracePeriodSeconds: 30
      containers: [
        {
          name: 'web'
          image: image
          command: [
            'gunicorn'
            '-c'
            'gunicorn.conf.py'
            'wsgi:app'
          ]
          env: settings
          resources: {
            cpu: 1
            memory: '2Gi'
          }
          probes: [
            {
              type: 'Liveness'
              httpGet: {
                path: '/health/live'
                port: 3000
              }
              periodSeconds: 30
              failureThreshold: 3
            }
            {
              type: 'Readiness'
              httpGet: {
                path: '/health/ready'
                port: 3000
              }
              periodSeconds: 10
              timeoutSeconds: 10
            }
          ]
        }
      ]
      scale: {
        minReplicas: minReplicas
        maxReplicas: maxReplicas
        rules: [
          {
            name: 'requests'
            http: {
              metadata: {
                concurrentRequests: '100'
              }
            }
          }
        ]
      }
    }
  }
  // Which the start looks at.
  dependsOn: [
    contributor
    delegator
    puller
  ]
}

resource worker 'Microsoft.App/containerApps@2024-03-01' = {
  name: '${prefix}-worker'
  location: location
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    managedEnvironmentId: environment.id
    configuration: {
      secrets: secrets
      registries: registries
    }
    template: {
      terminationGracePeriodSeconds: 60
      containers: [
        {
          name: 'worker'
          image: image
          command: [
            'codepush'
            'worker'
          ]
          env: settings
          resources: {
            cpu: 1
            memory: '2Gi'
          }
        }
      ]
      scale: {
        minReplicas: 1
        maxReplicas: 1
      }
    }
  }
  // Which the start looks at.
  dependsOn: [
    contributor
    delegator
    puller
  ]
}

// Moves the data up to the layout of the image; harmless where that is done. Started by hand.
resource migrate 'Microsoft.App/jobs@2024-03-01' = {
  name: '${prefix}-migrate'
  location: location
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    environmentId: environment.id
    configuration: {
      triggerType: 'Manual'
      replicaTimeout: 3600
      replicaRetryLimit: 1
      manualTriggerConfig: {
        parallelism: 1
        replicaCompletionCount: 1
      }
      secrets: secrets
      registries: registries
    }
    template: {
      containers: [
        {
          name: 'migrate'
          image: image
          command: [
            'codepush'
            'migrate'
          ]
          env: settings
          resources: {
            cpu: 1
            memory: '2Gi'
          }
        }
      ]
    }
  }
  dependsOn: [
    contributor
    delegator
    puller
  ]
}

output url string = webUrl

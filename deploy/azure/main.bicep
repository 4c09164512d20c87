// VM insights with processes and dependencies for the VMs of one resource group, and an identity that may read
// the result. main.json is the same as an ARM template; docs/azure-setup.md walks through it.

@description('Where everything is made: the region of the VMs.')
param location string = resourceGroup().location

@description('Name of the Log Analytics workspace.')
param workspaceName string = 'log-vminsights'

@description('How many days rows are kept. The exporter never looks back further than a day.')
@minValue(30)
@maxValue(730)
param retentionInDays int = 30

@description('Name of the data collection rule. The portal shows those that begin with MSVMI- as VM insights rules.')
param ruleName string = 'MSVMI-vminsights'

@description('Name of the identity that the exporter signs in as.')
param identityName string = 'id-vminsights-exporter'

@description('Names of the Windows VMs of this resource group to watch.')
param windowsVms array = []

@description('Names of the Linux VMs of this resource group to watch.')
param linuxVms array = []

var logAnalyticsReader = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '73c42c96-874c-492b-b04d-ab87d138a893')

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: workspaceName
  location: location
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: retentionInDays
    features: {
      enableLogAccessUsingOnlyResourcePermissions: true
    }
  }
}

resource rule 'Microsoft.Insights/dataCollectionRules@2023-03-11' = {
  name: ruleName
  location: location
  properties: {
    description: 'VM insights: performance, processes and dependencies.'
    dataSources: {
      performanceCounters: [
        {
          name: 'VMInsightsPerfCounters'
          streams: [
            'Microsoft-InsightsMetrics'
          ]
          samplingFrequencyInSeconds: 60
          counterSpecifiers: [
            '\\VmInsights\\DetailedMetrics'
          ]
        }
      ]
      extensions: [
        {
          name: 'DependencyAgentDataSource'
          streams: [
            'Microsoft-ServiceMap'
          ]
          extensionName: 'DependencyAgent'
          extensionSettings: {}
        }
      ]
    }
    destinations: {
      logAnalytics: [
        {
          name: 'workspace'
          workspaceResourceId: workspace.id
        }
      ]
    }
    dataFlows: [
      {
        streams: [
          'Microsoft-InsightsMetrics'
          'Microsoft-ServiceMap'
        ]
        destinations: [
          'workspace'
        ]
      }
    ]
  }
}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: identityName
  location: location
}

// On this workspace only, and reading only.
resource reader 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(workspace.id, identity.id, logAnalyticsReader)
  scope: workspace
  properties: {
    roleDefinitionId: logAnalyticsReader
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

resource windowsVm 'Microsoft.Compute/virtualMachines@2024-03-01' existing = [for name in windowsVms: {
  name: name
}]

resource windowsAssociation 'Microsoft.Insights/dataCollectionRuleAssociations@2023-03-11' = [for (name, i) in windowsVms: {
  name: 'vminsights'
  scope: windowsVm[i]
  properties: {
    dataCollectionRuleId: rule.id
  }
}]

resource windowsAgent 'Microsoft.Compute/virtualMachines/extensions@2024-03-01' = [for (name, i) in windowsVms: {
  parent: windowsVm[i]
  name: 'AzureMonitorWindowsAgent'
  location: location
  properties: {
    publisher: 'Microsoft.Azure.Monitor'
    type: 'AzureMonitorWindowsAgent'
    typeHandlerVersion: '1.0'
    autoUpgradeMinorVersion: true
    enableAutomaticUpgrade: true
  }
  dependsOn: [
    windowsAssociation
  ]
}]

resource windowsDependency 'Microsoft.Compute/virtualMachines/extensions@2024-03-01' = [for (name, i) in windowsVms: {
  parent: windowsVm[i]
  name: 'DependencyAgentWindows'
  location: location
  properties: {
    publisher: 'Microsoft.Azure.Monitoring.DependencyAgent'
    type: 'DependencyAgentWindows'
    typeHandlerVersion: '9.10'
    autoUpgradeMinorVersion: true
    enableAutomaticUpgrade: true
    settings: {
      enableAMA: 'true'
    }
  }
  dependsOn: [
    windowsAgent
  ]
}]

resource linuxVm 'Microsoft.Compute/virtualMachines@2024-03-01' existing = [for name in linuxVms: {
  name: name
}]

resource linuxAssociation 'Microsoft.Insights/dataCollectionRuleAssociations@2023-03-11' = [for (name, i) in linuxVms: {
  name: 'vminsights'
  scope: linuxVm[i]
  properties: {
    dataCollectionRuleId: rule.id
  }
}]

resource linuxAgent 'Microsoft.Compute/virtualMachines/extensions@2024-03-01' = [for (name, i) in linuxVms: {
  parent: linuxVm[i]
  name: 'AzureMonitorLinuxAgent'
  location: location
  properties: {
    publisher: 'Microsoft.Azure.Monitor'
    type: 'AzureMonitorLinuxAgent'
    typeHandlerVersion: '1.21'
    autoUpgradeMinorVersion: true
    enableAutomaticUpgrade: true
  }
  dependsOn: [
    linuxAssociation
  ]
}]

resource linuxDependency 'Microsoft.Compute/virtualMachines/extensions@2024-03-01' = [for (name, i) in linuxVms: {
  parent: linuxVm[i]
  name: 'DependencyAgentLinux'
  location: location
  properties: {
    publisher: 'Microsoft.Azure.Monitoring.DependencyAgent'
    type: 'DependencyAgentLinux'
    typeHandlerVersion: '9.10'
    autoUpgradeMinorVersion: true
    enableAutomaticUpgrade: true
    settings: {
      enableAMA: 'true'
    }
  }
  dependsOn: [
    linuxAgent
  ]
}]

output workspaceId string = workspace.properties.customerId
output identityClientId string = identity.properties.clientId
output identityResourceId string = identity.id
